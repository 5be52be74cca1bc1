//! Who has which address. Everything follows from a node's number, so that a plan and its packets can be read by eye.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A node's place in the cluster, 1 to [`NodeNumber::MAX`]: the `N` of `nodeN`, 10.99.0.N and 10.244.N.0/24.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeNumber(u8);

impl NodeNumber {
    /// The last one: 10.99.0.254 is the fabric's.
    pub const MAX: u8 = 250;

    /// The number, when there can be such a node.
    #[must_use]
    pub fn new(number: usize) -> Option<Self> {
        u8::try_from(number)
            .ok()
            .filter(|n| (1..=Self::MAX).contains(n))
            .map(Self)
    }

    /// The number of `node7`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let number = Self::new(name.strip_prefix("node")?.parse().ok()?)?;
        (number.name() == name).then_some(number)
    }

    /// `node7`.
    #[must_use]
    pub fn name(self) -> String {
        format!("node{}", self.0)
    }

    /// The number, bare.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The node's address on the fabric, IPv4.
    #[must_use]
    pub const fn v4(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 99, 0, self.0)
    }

    /// The node's address on the fabric, IPv6.
    #[must_use]
    pub const fn v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, self.0 as u16)
    }

    /// The addresses of the node's pods, IPv4.
    #[must_use]
    pub fn pods_v4(self) -> Ipv4Net {
        Ipv4Net::new_assert(Ipv4Addr::new(10, 244, self.0, 0), 24)
    }

    /// The addresses of the node's pods, IPv6.
    #[must_use]
    pub fn pods_v6(self) -> Ipv6Net {
        Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0x244, u16::from(self.0), 0, 0, 0, 0, 0), 64)
    }

    /// The addresses of one of the node's pods or, for 1, of its bridge.
    #[must_use]
    pub const fn host(self, host: u8) -> (Ipv4Addr, Ipv6Addr) {
        let v6 = Ipv6Addr::new(0xfd00, 0x244, self.0 as u16, 0, 0, 0, 0, host as u16);
        (Ipv4Addr::new(10, 244, self.0, host), v6)
    }

    /// The pair that a manifest asks for: one address of each family, both of this node's pods and neither its bridge's.
    #[must_use]
    pub fn wanted(self, addresses: &[IpAddr]) -> Option<(Ipv4Addr, Ipv6Addr)> {
        let all = (2..=254).map(|host| self.host(host));
        let v4 = all
            .clone()
            .find(|(v4, _)| addresses.contains(&IpAddr::V4(*v4)))?
            .0;
        let v6 = all
            .clone()
            .find(|(_, v6)| addresses.contains(&IpAddr::V6(*v6)))?
            .1;
        (addresses.len() == 2).then_some((v4, v6))
    }

    /// The lowest free pair of pod addresses; none when all 253 are taken.
    #[must_use]
    pub fn free(self, taken: &[IpAddr]) -> Option<(Ipv4Addr, Ipv6Addr)> {
        (2..=254)
            .map(|host| self.host(host))
            .find(|(v4, v6)| !taken.contains(&IpAddr::V4(*v4)) && !taken.contains(&IpAddr::V6(*v6)))
    }
}

/// The fabric's own addresses, the nodes' default gateways: what leaves the cluster ends there.
pub(crate) const FABRIC: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(10, 99, 0, 254),
    Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 0xfe),
);

/// The addresses of the one outside the cluster, on the fabric.
pub(crate) const OUTSIDE: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(10, 99, 0, 253),
    Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 0xfd),
);

/// The networks a node's pods live in, both families.
pub(crate) fn pod_networks(node: NodeNumber) -> [IpNet; 2] {
    [IpNet::V4(node.pods_v4()), IpNet::V6(node.pods_v6())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_addresses_follow_from_its_number() {
        let node = NodeNumber::new(16).unwrap();
        assert_eq!(node.v4().to_string(), "10.99.0.16");
        assert_eq!(node.v6().to_string(), "fd00:99::10");
        assert_eq!(node.pods_v4().to_string(), "10.244.16.0/24");
        assert_eq!(node.pods_v6().to_string(), "fd00:244:10::/64");
        assert_eq!(NodeNumber::from_name("node16"), Some(node));
    }

    #[test]
    fn a_manifests_addresses_are_taken_only_as_a_pair_of_this_node() {
        let node = NodeNumber::new(2).unwrap();
        let wanted = |texts: &[&str]| {
            let addresses: Vec<IpAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
            node.wanted(&addresses)
        };
        let pair = wanted(&["fd00:244:2::11", "10.244.2.17"]).unwrap();
        assert_eq!(
            (pair.0.to_string(), pair.1.to_string()),
            ("10.244.2.17".to_owned(), "fd00:244:2::11".to_owned())
        );
        for others in [
            &["10.244.2.17"][..],
            &["10.244.1.17", "fd00:244:2::11"],
            &["10.244.2.1", "fd00:244:2::1"],
            &["10.244.2.17", "fd00:244:2::11", "10.0.0.9"],
        ] {
            assert_eq!(wanted(others), None, "{others:?}");
        }
    }

    #[test]
    fn only_lawful_names_are_nodes() {
        for name in [
            "node0", "node251", "node01", "node", "Node1", "node1 ", "node-1", "worker",
        ] {
            assert_eq!(NodeNumber::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn free_addresses_are_taken_lowest_first_until_there_are_none() {
        let node = NodeNumber::new(1).unwrap();
        let mut taken = Vec::new();
        while let Some((v4, v6)) = node.free(&taken) {
            assert!(node.pods_v4().contains(&v4) && node.pods_v6().contains(&v6));
            taken.extend([IpAddr::V4(v4), IpAddr::V6(v6)]);
        }
        assert_eq!(taken.len(), 2 * 253);
        taken.drain(10..12);
        assert_eq!(node.free(&taken).unwrap().0.to_string(), "10.244.1.7");
    }
}
