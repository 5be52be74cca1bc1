//! Compiled policies: classes of endpoints that no policy can tell apart, and rules over them. Numbers only, no text to
//! compare.

use std::{collections::HashMap, net::IpAddr};

use crate::{
    cluster::{ObjectName, Tier},
    net::Family,
};

use super::{
    bits::BitSet,
    blocks::Blocks,
    compile_port::PortNames,
    decision::{AdminRef, Direction, PolicyRef},
    labels::{LabelIndex, Signature},
    port::NamedPort,
    rule::{AdminRule, Peers, Rule, Terms},
};

/// The number that stands for no class: a pod has no address in that family, or is over.
pub(crate) const NO_CLASS: u32 = u32::MAX;

/// All policies of one snapshot, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    pub(crate) generation: u64,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) namespaces: Vec<NamespaceEntry>,
    pub(crate) namespace_index: HashMap<String, u32>,
    pub(crate) nodes: Vec<NodeEntry>,
    pub(crate) node_index: HashMap<String, u32>,
    /// The nodes whose status names an address.
    pub(crate) node_addresses: HashMap<IpAddr, Vec<u32>>,
    pub(crate) classes: Vec<Class>,
    pub(crate) class_index: HashMap<ClassKey, u32>,
    /// Classes that came since terms were last worked out.
    pub(crate) fresh: Vec<u32>,
    pub(crate) traits: Traits,
    pub(crate) pods: Vec<PodEntry>,
    pub(crate) pod_index: HashMap<ObjectName, u32>,
    /// How many pods will have the address of a node that nobody knows yet.
    pub(crate) wanderers: usize,
    pub(crate) policies: Vec<Compiled>,
    pub(crate) policy_index: HashMap<ObjectName, u32>,
    pub(crate) admin: Vec<CompiledAdmin>,
    pub(crate) admin_index: HashMap<AdminRef, u32>,
    /// Whether some administrator's rule selects nodes, so that it matters at which node's address a pod is.
    pub(crate) selects_nodes: bool,
    /// How many policies were replaced or removed since everything was compiled: they leave terms behind.
    pub(crate) stale: usize,
}

/// What policies can say, as numbers. When it grows, classes that were one may fall apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vocabulary {
    /// Members are classes.
    pub(crate) pod_labels: LabelIndex,
    /// Members are namespaces.
    pub(crate) namespace_labels: LabelIndex,
    /// Members are nodes.
    pub(crate) node_labels: LabelIndex,
    pub(crate) names: PortNames,
    pub(crate) blocks: Blocks,
    pub(crate) terms: Terms,
}

/// A namespace; its labels are in the vocabulary.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamespaceEntry {
    pub(crate) classes: BitSet,
    /// The NetworkPolicies in it, by number.
    pub(crate) policies: Vec<u32>,
}

/// A node; its labels are in the vocabulary.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeEntry {
    /// Whether there is an object of it; a pod may name a node that has none.
    pub(crate) is_described: bool,
}

/// What makes a class: nothing else of an endpoint can be seen by any policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClassKey {
    pub(crate) namespace: u32,
    pub(crate) labels: Signature,
    /// The declared ports, by their number in [`Traits`].
    pub(crate) named: u32,
    /// The address's blocks, by their number in [`Traits`].
    pub(crate) blocks: u32,
}

/// Parts of class keys, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traits {
    pub(crate) named: Vec<Vec<NamedPort>>,
    pub(crate) named_index: HashMap<Vec<NamedPort>, u32>,
    /// The blocks that an address lies in; `None` for an address that is not known yet.
    pub(crate) blocks: Vec<Option<Vec<u32>>>,
    pub(crate) blocks_index: HashMap<Option<Vec<u32>>, u32>,
    /// The number of each stretch of addresses that was looked up.
    pub(crate) stretches: HashMap<(usize, usize), u32>,
}

/// Endpoints (pods at one of their addresses) that no policy can tell apart.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    pub(crate) namespace: u32,
    pub(crate) named: u32,
    pub(crate) blocks: u32,
    pub(crate) ingress: Subject,
    pub(crate) egress: Subject,
}

/// What a class is subject to in one direction, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The NetworkPolicies that isolate it.
    pub(crate) isolating: Vec<u32>,
    /// The policies of the Admin tier with rules for it, in the order they are asked.
    pub(crate) admin: Vec<u32>,
    /// Those of the Baseline tier, likewise.
    pub(crate) baseline: Vec<u32>,
}

/// What decisions need of a pod.
#[derive(Clone, Debug)]
pub(crate) struct PodEntry {
    pub(crate) name: ObjectName,
    /// Its class at its address in each family, IPv4 first; both alike where no address is known.
    pub(crate) classes: [u32; 2],
    pub(crate) node: Option<u32>,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) is_over: bool,
    pub(crate) host_network: bool,
}

/// One NetworkPolicy.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) name: PolicyRef,
    /// The pods it selects; none where its selector is invalid.
    pub(crate) subject: Option<u32>,
    pub(crate) isolates_ingress: bool,
    pub(crate) isolates_egress: bool,
    pub(crate) ingress: Vec<Rule>,
    pub(crate) egress: Vec<Rule>,
}

/// One policy of an administrator.
#[derive(Clone, Debug)]
pub(crate) struct CompiledAdmin {
    pub(crate) name: AdminRef,
    pub(crate) tier: Tier,
    pub(crate) priority: u16,
    /// The pods it speaks about; none where its selector is invalid, and after it was deleted.
    pub(crate) subject: Option<u32>,
    pub(crate) ingress: Vec<AdminRule>,
    pub(crate) egress: Vec<AdminRule>,
}

impl Compiled {
    pub(crate) fn rules(&self, direction: Direction) -> &[Rule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    pub(crate) const fn isolates(&self, direction: Direction) -> bool {
        match direction {
            Direction::Ingress => self.isolates_ingress,
            Direction::Egress => self.isolates_egress,
        }
    }
}

impl CompiledAdmin {
    /// Whether some rule of it selects nodes.
    pub(crate) fn names_nodes(&self) -> bool {
        let mut rules = self.ingress.iter().chain(&self.egress);
        rules.any(|it| matches!(&it.rule.peers, Peers::Listed(list) if !list.nodes.is_empty()))
    }

    pub(crate) fn rules(&self, direction: Direction) -> &[AdminRule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

impl Class {
    pub(crate) const fn subject(&self, direction: Direction) -> &Subject {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    pub(crate) const fn subject_mut(&mut self, direction: Direction) -> &mut Subject {
        match direction {
            Direction::Ingress => &mut self.ingress,
            Direction::Egress => &mut self.egress,
        }
    }
}

impl PodEntry {
    /// Whether it will have the address of a node that nobody knows yet.
    pub(crate) const fn is_wanderer(&self) -> bool {
        self.host_network && self.ips.is_empty() && self.node.is_none() && !self.is_over
    }

    /// Its class at its address in a family.
    pub(crate) fn class(&self, family: Family) -> Option<u32> {
        let class = match family {
            Family::Ipv4 => self.classes[0],
            Family::Ipv6 => self.classes[1],
        };
        (class != NO_CLASS).then_some(class)
    }

    /// Its class where the family does not matter: for what only labels decide.
    pub(crate) fn any_class(&self) -> Option<u32> {
        self.classes.into_iter().find(|class| *class != NO_CLASS)
    }
}

impl PolicySet {
    /// The generation of the snapshot these policies were compiled from.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether some NetworkPolicy isolates the pod in that direction; an unknown pod is not isolated.
    #[must_use]
    pub fn is_isolated(&self, pod: &ObjectName, direction: Direction) -> bool {
        self.subject_of(pod, direction)
            .is_some_and(|subject| !subject.isolating.is_empty())
    }

    /// How many policies speak about the pod, over both directions and all tiers.
    pub(crate) fn policies_on(&self, pod: &ObjectName) -> usize {
        [Direction::Ingress, Direction::Egress]
            .into_iter()
            .filter_map(|direction| self.subject_of(pod, direction))
            .map(|subject| subject.isolating.len() + subject.admin.len() + subject.baseline.len())
            .sum()
    }

    pub(crate) fn pod(&self, name: &ObjectName) -> Option<&PodEntry> {
        self.pods.get(*self.pod_index.get(name)? as usize)
    }

    /// What a pod is subject to; a hostNetwork pod to nothing for certain (R24).
    fn subject_of(&self, pod: &ObjectName, direction: Direction) -> Option<&Subject> {
        let class = self.pod(pod).filter(|pod| !pod.host_network)?.any_class()?;
        Some(self.class(class)?.subject(direction))
    }

    pub(crate) fn class(&self, class: u32) -> Option<&Class> {
        self.classes.get(class as usize)
    }

    /// The stretches of addresses within a net that some policy may tell apart: the first and last address of each.
    #[must_use]
    pub fn stretches(&self, net: ipnet::IpNet) -> Vec<(IpAddr, IpAddr)> {
        self.vocabulary.blocks.stretches(net)
    }

    /// The ports that pods of a class declare by name, as far as policies ask for names.
    pub(crate) fn named(&self, class: u32) -> &[NamedPort] {
        self.class(class)
            .and_then(|class| self.traits.named.get(class.named as usize))
            .map_or(&[], Vec::as_slice)
    }

    /// The NetworkPolicies of these numbers.
    pub(crate) fn policies<'a>(&'a self, numbers: &'a [u32]) -> impl Iterator<Item = &'a Compiled> {
        numbers
            .iter()
            .filter_map(|number| self.policies.get(*number as usize))
    }

    /// The administrators' policies of these numbers, in groups of equal priority.
    pub(crate) fn groups<'a>(
        &'a self,
        numbers: &'a [u32],
    ) -> impl DoubleEndedIterator<Item = Vec<&'a CompiledAdmin>> {
        let policies: Vec<&CompiledAdmin> = numbers
            .iter()
            .filter_map(|number| self.admin.get(*number as usize))
            .collect();
        let groups: Vec<Vec<&CompiledAdmin>> = policies
            .chunk_by(|one, next| one.priority == next.priority)
            .map(<[&CompiledAdmin]>::to_vec)
            .collect();
        groups.into_iter()
    }
}
