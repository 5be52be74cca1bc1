//! Address blocks: which addresses no block can tell apart.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use ipnet::IpNet;

/// An `ipBlock`, or one CIDR of `networks`; its exceptions count within it only (R11).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Block {
    pub(crate) net: IpNet,
    pub(crate) except: Vec<IpNet>,
}

impl Block {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.net.contains(&address) && !self.except.iter().any(|except| except.contains(&address))
    }

    /// Whether it holds every address of its family, so also one that is not known yet.
    pub(crate) fn is_everything(&self) -> bool {
        self.net.prefix_len() == 0 && self.except.is_empty()
    }
}

/// Every block of every policy, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    pub(crate) all: Vec<Block>,
    numbers: HashMap<Block, u32>,
    /// Where membership of some block may change, per family.
    bounds: [Vec<u128>; 2],
    has_grown: bool,
}

impl Blocks {
    /// The number of a block.
    pub(crate) fn intern(&mut self, block: Block) -> u32 {
        if let Some(found) = self.numbers.get(&block) {
            return *found;
        }
        let next = self.all.len() as u32;
        self.numbers.insert(block.clone(), next);
        self.all.push(block);
        self.has_grown = true;
        next
    }

    /// Whether blocks came since this was last asked: addresses that looked alike before may differ now.
    pub(crate) fn take_growth(&mut self) -> bool {
        if !std::mem::replace(&mut self.has_grown, false) {
            return false;
        }
        let mut bounds = [BTreeSet::new(), BTreeSet::new()];
        for net in self
            .all
            .iter()
            .flat_map(|block| block.except.iter().chain([&block.net]))
        {
            let (first, last) = (place(net.network()), place(net.broadcast()));
            let of_family = &mut bounds[first.0];
            of_family.insert(first.1);
            of_family.extend(last.1.checked_add(1));
        }
        self.bounds = bounds.map(|bounds| bounds.into_iter().collect());
        true
    }

    /// A number for the stretch of addresses without a bound inside that an address lies in.
    pub(crate) fn stretch(&self, address: IpAddr) -> (usize, usize) {
        let (family, value) = place(address);
        let bounds = &self.bounds[family];
        (family, bounds.partition_point(|bound| *bound <= value))
    }

    /// The blocks that hold an address.
    pub(crate) fn holding(&self, address: IpAddr) -> Vec<u32> {
        (0..)
            .zip(&self.all)
            .filter(|(_, block)| block.contains(address))
            .map(|(number, _)| number)
            .collect()
    }
}

/// The family's place, and the address as a number.
fn place(address: IpAddr) -> (usize, u128) {
    match address {
        IpAddr::V4(v4) => (0, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (1, v6.to_bits()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, Blocks};

    #[test]
    fn addresses_of_one_stretch_lie_in_the_same_blocks() {
        let mut blocks = Blocks::default();
        for (net, except) in [
            ("10.0.0.0/8", vec!["10.1.0.0/16"]),
            ("0.0.0.0/0", vec![]),
            ("fd00::/8", vec!["fd00::/16"]),
        ] {
            blocks.intern(Block {
                net: net.parse().unwrap(),
                except: except.into_iter().map(|text| text.parse().unwrap()).collect(),
            });
        }
        assert!(blocks.take_growth() && !blocks.take_growth());
        let of = |text: &str| {
            let address = text.parse().unwrap();
            (blocks.stretch(address), blocks.holding(address))
        };
        assert_eq!(of("10.0.0.1"), of("10.0.255.255"));
        assert_eq!(of("10.0.0.1").1, [0, 1]);
        assert_eq!(of("10.1.2.3").1, [1]);
        assert_ne!(of("10.0.0.1").0, of("10.1.2.3").0);
        assert_eq!(of("255.255.255.255").1, [1]);
        assert_eq!(
            (of("fd00::1").1, of("fd01::1").1, of("::1").1),
            (vec![], vec![2], vec![])
        );
        assert_ne!(of("0.0.0.1").0, of("::1").0);
    }
}
