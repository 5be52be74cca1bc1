//! Addresses outside the cluster that stand for all others: one for each block that policies name, and one that none holds.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use ipnet::IpNet;

use super::{blocks::Block, set::PolicySet};

/// An address outside the cluster, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Outside {
    /// The address that is asked about.
    pub address: IpAddr,
    /// The block it stands for; none for every address of its family that no block holds.
    pub net: Option<IpNet>,
    /// The block's exceptions.
    pub except: Vec<IpNet>,
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.net, self.address) {
            (Some(net), _) => write!(f, "{net}")?,
            (None, IpAddr::V4(_)) => f.write_str("outside (IPv4)")?,
            (None, IpAddr::V6(_)) => f.write_str("outside (IPv6)")?,
        }
        for (index, net) in self.except.iter().enumerate() {
            f.write_str(if index == 0 { " except " } else { ", " })?;
            net.fmt(f)?;
        }
        Ok(())
    }
}

/// One address for each block of these sets, of its addresses the one that the fewest other blocks hold, and one in each
/// family that no block holds, where there is one.
///
/// A block within another is an end of its own, so that a wide block speaks for what no narrower one does.
#[must_use]
pub fn outside(sets: &[&PolicySet]) -> Vec<Outside> {
    let mut blocks: Vec<&Block> = sets.iter().flat_map(|set| &set.vocabulary.blocks.all).collect();
    let key = |block: &Block| (block.net, block.except.clone());
    blocks.sort_by_key(|block| key(block));
    blocks.dedup_by_key(|block| key(block));
    // Between two of these every address lies in the same blocks, so that the first one speaks for the rest.
    let mut firsts: BTreeSet<IpAddr> = [IpAddr::from([0; 4]), IpAddr::from([0; 16])].into();
    for net in blocks
        .iter()
        .flat_map(|block| block.except.iter().chain([&block.net]))
    {
        firsts.insert(net.network());
        firsts.extend(after(net.broadcast()));
    }
    let firsts: Vec<(IpAddr, usize)> = firsts
        .into_iter()
        .map(|address| {
            let holding = blocks.iter().filter(|block| block.contains(address)).count();
            (address, holding)
        })
        .collect();
    let mut found: Vec<Outside> = blocks
        .iter()
        .filter_map(|block| {
            let inside = firsts.iter().filter(|(address, _)| block.contains(*address));
            let (address, _) = inside.min_by_key(|(_, holding)| *holding)?;
            Some(Outside {
                address: *address,
                net: Some(block.net),
                except: block.except.clone(),
            })
        })
        .collect();
    for is_v4 in [true, false] {
        let free = firsts
            .iter()
            .find(|(address, holding)| address.is_ipv4() == is_v4 && *holding == 0);
        found.extend(free.map(|(address, _)| Outside {
            address: *address,
            net: None,
            except: Vec::new(),
        }));
    }
    found
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => v4.to_bits().checked_add(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(v6) => v6.to_bits().checked_add(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::world::{ALL, given},
        outside,
    };

    fn of(blocks: &[&str]) -> Vec<String> {
        let list: Vec<String> = blocks
            .iter()
            .map(|block| format!("{{ipBlock: {block}}}"))
            .collect();
        let spec = format!(
            "{{{ALL}, policyTypes: [Egress], egress: [{{to: [{}]}}]}}",
            list.join(", ")
        );
        let case = given(&[&spec]);
        outside(&[&case.set, &case.set])
            .iter()
            .map(|one| format!("{one} by {}", one.address))
            .collect()
    }

    #[test]
    fn a_wide_block_speaks_for_what_no_narrower_one_holds() {
        assert_eq!(
            of(&["{cidr: 198.51.100.0/24}", "{cidr: 198.51.100.0/28}"]),
            [
                "198.51.100.0/24 by 198.51.100.16",
                "198.51.100.0/28 by 198.51.100.0",
                "outside (IPv4) by 0.0.0.0",
                "outside (IPv6) by ::",
            ]
        );
    }

    #[test]
    fn what_a_block_excepts_is_outside() {
        assert_eq!(
            of(&["{cidr: 0.0.0.0/0, except: [10.0.0.0/8, 192.168.0.0/16]}"]),
            [
                "0.0.0.0/0 except 10.0.0.0/8, 192.168.0.0/16 by 0.0.0.0",
                "outside (IPv4) by 10.0.0.0",
                "outside (IPv6) by ::",
            ]
        );
    }

    #[test]
    fn where_everything_is_in_a_block_nothing_is_outside() {
        assert_eq!(
            of(&["{cidr: 0.0.0.0/0}", "{cidr: '::/0'}"]),
            ["0.0.0.0/0 by 0.0.0.0", "::/0 by ::"]
        );
    }
}
