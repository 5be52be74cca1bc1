//! One side of a connection: the pod whose policies are asked, the tiers in their order, and the other end.

use std::net::IpAddr;

use super::{
    Undefined, Way, network_policy,
    possible::{Match, Possible},
    tier,
};
use crate::{
    cluster::{Action, Pod, Snapshot, Tier},
    net::Protocol,
};

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub enum Party<'a> {
    /// A pod, at one of its addresses.
    Pod {
        /// The pod.
        pod: &'a Pod,
        /// The address used; nothing where the pod has none yet.
        address: Option<IpAddr>,
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
    /// The address in the packets, as far as it is known.
    #[must_use]
    pub const fn address(self) -> Option<IpAddr> {
        match self {
            Self::Pod { address, .. } => address,
            Self::Node { address, .. } | Self::Outside(address) => Some(address),
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

/// What a plugin makes of pods that use their node's network. NetworkPolicy leaves that open, but "it should be limited to
/// 2 possibilities" (R24).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostPods {
    /// It "will apply NetworkPolicy to hostNetwork pods just like it does to pod-network pods".
    AsPods,
    /// It "ignores hostNetwork pods when matching podSelector and namespaceSelector": their traffic is their node's.
    AsNodes,
}

/// One side of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// Whose policies are asked.
    pub(super) pod: &'a Pod,
    pub(super) way: Way,
    /// The other end.
    pub(super) other: Party<'a>,
    pub(super) protocol: Protocol,
    /// The port at the destination pod (R19).
    pub(super) port: u16,
    pub(super) host_pods: HostPods,
}

/// What becomes of a connection on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Accepted,
    RefusedByNetworkPolicies,
    RefusedByTier,
}

/// "If Admin tier has made a final decision (Accept or Deny) on a connection, then no further evaluation is done."
pub(super) fn outcome(side: &Side<'_>) -> Possible<Outcome> {
    tier::says(side, Tier::Admin).then(|action| match action {
        Some(Action::Accept) => Possible::sure(Outcome::Accepted),
        Some(Action::Deny) => Possible::sure(Outcome::RefusedByTier),
        // "Passes evaluation to the next tier."
        Some(Action::Pass) | None => after_admin(side),
    })
}

/// NetworkPolicy "always makes a final decision for selected pods. Further evaluation only happens for Pods not selected".
fn after_admin(side: &Side<'_>) -> Possible<Outcome> {
    match network_policy::permits(side) {
        None => after_network_policies(side),
        Some(Match::Yes) => Possible::sure(Outcome::Accepted),
        Some(Match::No) => Possible::sure(Outcome::RefusedByNetworkPolicies),
        Some(Match::Perhaps(why)) => Possible {
            first: Outcome::Accepted,
            others: vec![(Outcome::RefusedByNetworkPolicies, why)],
        },
    }
}

/// "If a given connection wasn't allowed or denied by any of the tiers, the default kubernetes policy is applied, which
/// says that all pods can communicate with each other."
fn after_network_policies(side: &Side<'_>) -> Possible<Outcome> {
    tier::says(side, Tier::Baseline).then(|action| {
        Possible::sure(match action {
            Some(Action::Deny) => Outcome::RefusedByTier,
            Some(Action::Accept | Action::Pass) | None => Outcome::Accepted,
        })
    })
}

/// Whether the party is the node that the pod runs on (R21).
pub(super) fn is_own_node(pod: &Pod, party: Party<'_>, host_pods: HostPods) -> bool {
    let node = match party {
        Party::Node { name, .. } => Some(name),
        Party::Pod { pod, .. } if pod.host_network && host_pods == HostPods::AsNodes => pod.node.as_deref(),
        Party::Pod { .. } | Party::Outside(_) => None,
    };
    node.is_some() && node == pod.node.as_deref()
}

/// Where neither end has a node yet, the one that both may come to: any of the cluster's. No node can be called so.
pub(super) const SOME_NODE: &str = "some node";

/// The node that the two ends may come to share: one of them is a node or on a node's network, and a pod of them is on no
/// node yet.
pub(super) fn node_in_common<'a>(from: Party<'a>, to: Party<'a>) -> Option<&'a str> {
    let is_on_host = |party: Party<'_>| match party {
        Party::Node { .. } => true,
        Party::Pod { pod, .. } => pod.host_network,
        Party::Outside(_) => false,
    };
    let node = |party: Party<'a>| match party {
        Party::Node { name, .. } => Some(name),
        Party::Pod { pod, .. } => pod.node.as_deref(),
        Party::Outside(_) => None,
    };
    let is_outside = |party| matches!(party, Party::Outside(_));
    let is_unplaced = |party: Party<'_>| party.pod().is_some_and(|pod| pod.node.is_none());
    let may_be = (is_on_host(from) || is_on_host(to))
        && (is_unplaced(from) || is_unplaced(to))
        && !is_outside(from)
        && !is_outside(to);
    may_be.then(|| node(from).or(node(to)).unwrap_or(SOME_NODE))
}

/// The pod of an end on that node, if it is on none.
pub(super) fn placed(party: Party<'_>, node: &str) -> Option<Pod> {
    party.pod().filter(|pod| pod.node.is_none()).map(|pod| Pod {
        node: Some(node.to_owned()),
        ..pod.clone()
    })
}

/// The end with another state of its pod.
pub(super) const fn moved<'a>(party: Party<'_>, pod: &'a Pod) -> Party<'a> {
    let address = match party {
        Party::Pod { address, .. } => address,
        Party::Node { address, .. } | Party::Outside(address) => Some(address),
    };
    Party::Pod { pod, address }
}

/// Whether the two addresses are of one family, so that packets can go between them; of an address that nobody knows
/// yet, everything is possible.
pub(super) fn may_meet(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    one.zip(other)
        .is_none_or(|(one, other)| one.is_ipv4() == other.is_ipv4())
}

/// Why nothing can be said of an end: a pod that is over (R28), or that has no such address.
pub(super) fn not_there(party: Party<'_>) -> Option<Undefined> {
    let Party::Pod { pod, address } = party else {
        return None;
    };
    let has_it = address.is_none_or(|address| pod.ips.contains(&address));
    (pod.phase.is_terminal() || !has_it).then_some(Undefined::NoSuchEnd)
}
