//! Which pods no policy can tell apart: the key by which whole clusters are asked and counted.

use super::{
    decision::End,
    matrix::PodId,
    set::{PodEntry, PolicySet},
};
use crate::{cluster::ObjectName, net::Family};

/// What policies can see of a pod. Two pods of one likeness have the same answers towards every other pod, save for whether
/// a hostNetwork pod is on the same node ([`PolicySet::node_of`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Likeness {
    classes: [u32; 2],
    host_network: bool,
    /// Whether it is on no node yet, so that it may share anybody's.
    is_unscheduled: bool,
    /// The nodes whose addresses the pod has, where some policy selects nodes.
    nodes: Vec<u32>,
    /// Of a hostNetwork pod that has no address yet: the node whose address it will have, likewise.
    awaits_node: Option<Option<u32>>,
    /// Its own node, where it matters to a pod that may come to be there.
    meets_on: Option<u32>,
}

impl Likeness {
    /// Whether the pod shares its node's network, so that its node matters (R21, R22, R24).
    #[must_use]
    pub const fn is_on_host(&self) -> bool {
        self.host_network
    }
}

impl PolicySet {
    /// The likeness of a pod; none of one that is over or not there.
    #[must_use]
    pub fn likeness(&self, pod: &ObjectName) -> Option<Likeness> {
        let entry = self.pod(pod).filter(|entry| !entry.is_over)?;
        Some(Likeness {
            classes: entry.classes,
            host_network: entry.host_network,
            is_unscheduled: entry.node.is_none(),
            nodes: self.nodes_at(entry),
            awaits_node: (entry.host_network && entry.ips.is_empty() && self.selects_nodes)
                .then_some(entry.node),
            meets_on: entry.node.filter(|_| self.wanderers > 0 && self.selects_nodes),
        })
    }

    /// A number that stands for the node a pod is on.
    #[must_use]
    pub fn node_of(&self, pod: &ObjectName) -> Option<u32> {
        self.pod(pod)?.node
    }

    /// A pod as an end of traffic in a family.
    #[must_use]
    pub fn end(&self, pod: PodId, family: Family) -> Option<End> {
        let name = self.name(pod)?;
        let entry = self.pod(name)?;
        entry.class(family)?;
        Some(End::Pod {
            name: name.clone(),
            address: entry.ips.iter().copied().find(|ip| Family::of(*ip) == family),
        })
    }

    fn nodes_at(&self, entry: &PodEntry) -> Vec<u32> {
        if !self.selects_nodes {
            return Vec::new();
        }
        let mut nodes: Vec<u32> = entry
            .ips
            .iter()
            .filter_map(|address| self.node_addresses.get(address))
            .flatten()
            .copied()
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }
}
