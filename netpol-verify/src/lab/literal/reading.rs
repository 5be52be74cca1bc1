//! One question to the policies: may this connection be opened?

use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer};

use super::{
    peer::{self, Means},
    port,
    rule::{self, Rule, Way},
};
use crate::{
    cluster::{Pod, Snapshot},
    net::Protocol,
};

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub enum Party<'a> {
    /// A pod, at one of its addresses.
    Pod {
        /// The pod.
        pod: &'a Pod,
        /// The address used.
        address: IpAddr,
    },
    /// A node itself.
    Node {
        /// Its name.
        name: &'a str,
        /// The address used.
        address: IpAddr,
    },
    /// An address that is no pod's and no node's.
    Outside(IpAddr),
}

impl<'a> Party<'a> {
    /// The address in the packets.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        match self {
            Self::Pod { address, .. } | Self::Node { address, .. } | Self::Outside(address) => address,
        }
    }

    /// The pod, if it is one.
    #[must_use]
    pub const fn pod(self) -> Option<&'a Pod> {
        match self {
            Self::Pod { pod, .. } => Some(pod),
            Self::Node { .. } | Self::Outside(_) => None,
        }
    }
}

/// What the specification says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It must be let through.
    Permitted,
    /// It must be stopped; at least one of the two sides refuses.
    Refused {
        /// The source pod's egress refuses.
        egress: bool,
        /// The destination pod's ingress refuses.
        ingress: bool,
    },
    /// The specification does not say.
    Undefined(Undefined),
}

/// Why the specification does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undefined {
    /// A pod that is over, or has no such address, or the two ends have no family in common (R28).
    NoSuchEnd,
    /// A pod that uses its node's network (R24).
    HostNetwork,
    /// A pod and itself (R23).
    Itself,
    /// A pod that its egress keeps from its own node (R22).
    OwnNode,
}

/// Whether the policies let `from` open a connection to `to`. The port is the one at the destination pod (R19).
#[must_use]
pub fn permits(
    snapshot: &Snapshot,
    from: Party<'_>,
    to: Party<'_>,
    protocol: Protocol,
    port: u16,
) -> Reading {
    if let Some(why) = undefined(from, to) {
        return Reading::Undefined(why);
    }
    // "Outgoing traffic is allowed if there are no NetworkPolicies selecting the pod … OR if the traffic matches
    // at least one egress rule across all of the NetworkPolicy objects whose podSelector matches the pod."
    let egress = from
        .pod()
        .is_none_or(|source| side_permits(snapshot, source, Way::Egress, to, protocol, port));
    // "Traffic is allowed to a pod if there are no NetworkPolicies selecting the pod …, OR if the traffic source is
    // the pod's local node, OR if the traffic matches at least one ingress rule …"
    let ingress = to.pod().is_none_or(|target| {
        is_own_node(target, from) || side_permits(snapshot, target, Way::Ingress, from, protocol, port)
    });
    match (egress, ingress) {
        (true, true) => Reading::Permitted,
        (false, _) if from.pod().is_some_and(|source| is_own_node(source, to)) => {
            Reading::Undefined(Undefined::OwnNode)
        }
        (egress, ingress) => Reading::Refused {
            egress: !egress,
            ingress: !ingress,
        },
    }
}

fn undefined(from: Party<'_>, to: Party<'_>) -> Option<Undefined> {
    let is_there = |party: Party<'_>| match party {
        Party::Pod { pod, address } => !pod.phase.is_terminal() && pod.ips.contains(&address),
        Party::Node { .. } | Party::Outside(_) => true,
    };
    if !is_there(from) || !is_there(to) || !peer::same_family(from.address(), to.address()) {
        return Some(Undefined::NoSuchEnd);
    }
    if [from, to]
        .into_iter()
        .filter_map(Party::pod)
        .any(|pod| pod.host_network)
    {
        return Some(Undefined::HostNetwork);
    }
    match (from.pod(), to.pod()) {
        (Some(source), Some(target)) if source.name == target.name => Some(Undefined::Itself),
        _ => None,
    }
}

/// Whether the party is the node that the pod runs on (R21).
fn is_own_node(pod: &Pod, party: Party<'_>) -> bool {
    matches!(party, Party::Node { name, .. } if pod.node.as_deref() == Some(name))
}

/// Whether one side lets the connection through: it is not isolated, or a rule matches the other end.
fn side_permits(
    snapshot: &Snapshot,
    pod: &Pod,
    way: Way,
    other: Party<'_>,
    protocol: Protocol,
    port: u16,
) -> bool {
    let policies = rule::isolating(snapshot, pod, way);
    policies.is_empty()
        || policies.iter().any(|policy| {
            rule::rules(policy, way)
                .iter()
                .any(|rule| rule_permits(snapshot, policy, rule, pod, way, other, protocol, port))
        })
}

/// "The traffic must match both ports and from", respectively "to".
#[expect(
    clippy::too_many_arguments,
    reason = "the question, and the sentence it is put to"
)]
fn rule_permits(
    snapshot: &Snapshot,
    policy: &NetworkPolicy,
    rule: &Rule<'_>,
    pod: &Pod,
    way: Way,
    other: Party<'_>,
    protocol: Protocol,
    port: u16,
) -> bool {
    // Port names belong to the pod that the packets go to: the selected pod itself, or the peer (R17).
    let target = match way {
        Way::Ingress => Some(pod),
        Way::Egress => other.pod(),
    };
    // "If this field is empty or missing, this rule matches all sources", respectively "destinations".
    if rule.peers.is_empty() {
        return port::permit(rule.ports, target, protocol, port);
    }
    rule.peers.iter().any(
        |entry| match matched(snapshot, rule::namespace(policy), entry, other) {
            Matched::No => false,
            Matched::AsPod => port::permit(rule.ports, target, protocol, port),
            // On egress a block is a set of addresses, and addresses declare no port names (R17).
            Matched::AsAddress => {
                let target = if way == Way::Ingress { target } else { None };
                port::permit(rule.ports, target, protocol, port)
            }
        },
    )
}

/// How an entry of `from` or `to` matched.
enum Matched {
    No,
    AsPod,
    AsAddress,
}

fn matched(snapshot: &Snapshot, namespace: &str, entry: &NetworkPolicyPeer, other: Party<'_>) -> Matched {
    match peer::read(entry) {
        // Pods' own addresses count too: ignoring them is a known divergence (R12).
        Means::Block(block) if block.contains(other.address()) => Matched::AsAddress,
        Means::Pods
            if other
                .pod()
                .is_some_and(|pod| peer::selects(snapshot, namespace, entry, pod)) =>
        {
            Matched::AsPod
        }
        Means::Block(_) | Means::Pods | Means::Unreadable => Matched::No,
    }
}
