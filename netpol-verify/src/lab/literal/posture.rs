//! All the policies at once, in the terms of a packet filter: per pod and direction, addresses and ports.

use std::net::IpAddr;

use super::{block::Block, port::PortRange};
use crate::cluster::{Action, ObjectName};

/// A pod that policies can act on, and its state in each direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPostures {
    /// The pod.
    pub name: ObjectName,
    /// All its addresses, both families (R30).
    pub addresses: Vec<IpAddr>,
    /// Towards the pod.
    pub ingress: Posture,
    /// From the pod.
    pub egress: Posture,
}

/// What the policies make of one direction of a pod: three voices, asked in this order. Where all are silent, everything
/// gets through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Posture {
    /// The administrators' first word: of the rulings that match, the first one holds.
    pub admin: Vec<Ruling>,
    /// The NetworkPolicies, whose word is final; nothing where none isolates the pod in this direction.
    pub isolation: Option<Isolation>,
    /// The administrators' last word, read like their first one.
    pub baseline: Vec<Ruling>,
}

impl Posture {
    /// Whether no policy says anything.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.admin.is_empty() && self.isolation.is_none() && self.baseline.is_empty()
    }
}

/// A direction that NetworkPolicies close but for what is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// What gets through.
    pub accepts: Vec<Accept>,
    /// Whether a policy without any rule is among those that isolate; it changes nothing, but to an
    /// enforcer that lets denials win.
    pub by_bare_denial: bool,
}

/// What an administrator's rule does with some of the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What it does. [`Action::Pass`] leaves the tier; behind the last tier everything gets through.
    pub action: Action,
    /// The other end.
    pub peers: Peers,
    /// The destination ports.
    pub ports: Ports,
    /// The rule it comes from.
    pub origin: Origin,
}

/// What one rule lets through: peers AND ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The other end.
    pub peers: Peers,
    /// The destination ports.
    pub ports: Ports,
    /// The rule it comes from.
    pub origin: Origin,
}

/// The rule an [`Accept`] or a [`Ruling`] comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The policy; an administrator's has no namespace and stands under its kind.
    pub policy: ObjectName,
    /// The rule's place in the policy's list for that direction.
    pub index: usize,
}

/// The other end's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Every address.
    Any,
    /// These, and no others.
    Listed {
        /// Blocks with their exceptions.
        blocks: Vec<Block>,
        /// The addresses of pods.
        addresses: Vec<IpAddr>,
    },
}

/// The destination ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Every port of every protocol, and protocols without ports.
    Any,
    /// These, and no others.
    Listed(Vec<PortRange>),
}
