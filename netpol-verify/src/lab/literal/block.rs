//! ipBlock: a CIDR without its exceptions.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::IPBlock;

use super::{Undefined, possible::Match};

/// A CIDR and what is taken out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The addresses it covers.
    pub cidr: IpNet,
    /// "CIDRs that should not be included within an IPBlock": they exclude from this block and from no other (R11).
    pub except: Vec<IpNet>,
}

impl Block {
    /// Reads an ipBlock; nothing when any part of it cannot be read, or takes out what is not in it.
    pub(super) fn read(block: &IPBlock) -> Option<Self> {
        let cidr = read_cidr(&block.cidr)?;
        // "Except values will be rejected if they are outside the cidr range"; they must be smaller, too, by the lengths as
        // they are written.
        let is_inside = |hole: &IpNet, text: &str| {
            cidr.contains(hole)
                && hole.prefix_len() > cidr.prefix_len()
                && written_prefix(text) > written_prefix(&block.cidr)
        };
        let except = block
            .except
            .iter()
            .flatten()
            .map(|text| read_cidr(text).filter(|hole| is_inside(hole, text)))
            .collect::<Option<_>>()?;
        Some(Self { cidr, except })
    }

    /// Reads a CIDR from which nothing is taken out.
    pub(super) fn whole(cidr: &str) -> Option<Self> {
        Some(Self {
            cidr: read_cidr(cidr)?,
            except: Vec::new(),
        })
    }

    /// Whether the block holds the address of an end. Of a pod without an address only the block of all addresses can
    /// tell.
    pub(super) fn holds(&self, address: Option<IpAddr>) -> Match {
        match address {
            Some(address) => Match::sure(self.contains(address)),
            None if self.cidr.prefix_len() == 0 && self.except.is_empty() => Match::Yes,
            None => Match::Perhaps(Undefined::NoAddress),
        }
    }

    /// Whether the address is in the block. A block has no say over the other family's addresses.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.cidr.contains(&address) && !self.except.iter().any(|hole| hole.contains(&address))
    }
}

/// The number behind the slash.
fn written_prefix(cidr: &str) -> Option<u8> {
    cidr.split_once('/')?.1.parse().ok()
}

/// Reads a CIDR as the API server once did: stored objects may have leading zeros, which are decimal, and
/// bits beyond the prefix, which do not count (R14).
fn read_cidr(text: &str) -> Option<IpNet> {
    let (address, prefix) = text.split_once('/')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let address: IpAddr = if address.contains(':') {
        address.parse().ok()?
    } else {
        let octets = address
            .split('.')
            .map(|octet| is_number(octet).then(|| octet.parse::<u8>().ok()).flatten())
            .collect::<Option<Vec<u8>>>()?;
        IpAddr::from(<[u8; 4]>::try_from(octets).ok()?)
    };
    let prefix = is_number(prefix).then(|| prefix.parse::<u8>().ok()).flatten()?;
    let net = IpNet::new(address, prefix).ok()?.trunc();
    Some(as_ipv4(net).unwrap_or(net))
}

/// Blocks of IPv4 addresses written as IPv6 ones are IPv4 blocks to Kubernetes' own reader, Go's (R14).
fn as_ipv4(net: IpNet) -> Option<IpNet> {
    let IpNet::V6(net) = net else { return None };
    let address = net.addr().to_ipv4_mapped()?;
    IpNet::new(address.into(), net.prefix_len().checked_sub(96)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(cidr: &str, except: &[&str]) -> Option<Block> {
        Block::read(&IPBlock {
            cidr: cidr.to_owned(),
            except: Some(except.iter().map(|one| (*one).to_owned()).collect()),
        })
    }

    #[test]
    fn an_exception_is_taken_out_of_its_block() {
        let block = block("10.0.0.0/8", &["10.1.0.0/16"]).unwrap();
        assert!(block.contains("10.2.0.1".parse().unwrap()));
        assert!(!block.contains("10.1.0.1".parse().unwrap()));
        assert!(!block.contains("11.0.0.1".parse().unwrap()));
        assert!(!block.contains("::a00:1".parse().unwrap()));
    }

    #[test]
    fn old_spellings_are_decimal_and_lose_their_host_bits() {
        assert_eq!(block("010.001.000.005/08", &[]), block("10.0.0.0/8", &[]));
        assert_eq!(block("fd00::5/64", &[]), block("fd00::/64", &[]));
        assert_eq!(block("::ffff:10.1.0.0/112", &[]), block("10.1.0.0/16", &[]));
    }

    #[test]
    fn what_cannot_be_read_is_no_block() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/+8",
            "10.0.0.+1/8",
            "fd00::/129",
            "x/8",
        ] {
            assert_eq!(block(text, &[]), None, "{text}");
        }
        assert_eq!(block("10.0.0.0/8", &["nonsense"]), None);
    }
}
