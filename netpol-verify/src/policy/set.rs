//! Compiled policies: indices and bit sets, no text to compare.

use std::{collections::HashMap, net::IpAddr};

use crate::cluster::ObjectName;

use super::{
    decision::{Direction, PolicyRef},
    peer::Peers,
    port::{NamedPort, Ports},
};

/// All policies of one snapshot, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    pub(crate) generation: u64,
    pub(crate) policies: Vec<Compiled>,
    pub(crate) pods: Vec<PodEntry>,
    pub(crate) pod_index: HashMap<ObjectName, u32>,
    pub(crate) node_index: HashMap<String, u32>,
    pub(crate) classes: Vec<Class>,
}

/// One policy.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) name: PolicyRef,
    pub(crate) ingress: Vec<Rule>,
    pub(crate) egress: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) peers: Peers,
    pub(crate) ports: Ports,
}

/// Pods of one namespace with equal labels: no selector can tell them apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Class {
    /// The policies that isolate them for ingress, by index.
    pub(crate) ingress: Vec<u32>,
    /// The policies that isolate them for egress, by index.
    pub(crate) egress: Vec<u32>,
}

/// What decisions need of a pod.
#[derive(Clone, Debug)]
pub(crate) struct PodEntry {
    pub(crate) class: u32,
    pub(crate) node: Option<u32>,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) is_over: bool,
    pub(crate) host_network: bool,
    pub(crate) named: Vec<NamedPort>,
}

impl Compiled {
    pub(crate) fn rules(&self, direction: Direction) -> &[Rule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

impl PolicySet {
    /// The generation of the snapshot these policies were compiled from.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// How many policies there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there is no policy at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Whether some policy isolates the pod in that direction; an unknown pod is not isolated.
    #[must_use]
    pub fn is_isolated(&self, pod: &ObjectName, direction: Direction) -> bool {
        let entry = self
            .pod_index
            .get(pod)
            .and_then(|index| self.pods.get(*index as usize));
        entry.is_some_and(|entry| !self.isolating(entry.class, direction).is_empty())
    }

    /// How many policies select the pod, over both directions.
    pub(crate) fn policies_on(&self, pod: &ObjectName) -> usize {
        let entry = self
            .pod_index
            .get(pod)
            .and_then(|index| self.pods.get(*index as usize));
        entry.map_or(0, |entry| {
            [Direction::Ingress, Direction::Egress]
                .into_iter()
                .map(|direction| self.isolating(entry.class, direction).len())
                .sum()
        })
    }

    pub(crate) fn isolating(&self, class: u32, direction: Direction) -> &[u32] {
        self.classes
            .get(class as usize)
            .map_or(&[], |class| match direction {
                Direction::Ingress => &class.ingress,
                Direction::Egress => &class.egress,
            })
    }
}
