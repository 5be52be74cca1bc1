//! One question to the policies: may this connection be opened?

use super::{
    Way,
    possible::Possible,
    side::{self, HostPods, Outcome, Party, Side},
};
use crate::{cluster::Snapshot, net::Protocol};

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

/// Why the specification does not say. Where several reasons meet, it is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undefined {
    /// A pod that is over, or has no such address, or the two ends have no family in common (R28).
    NoSuchEnd,
    /// A pod that uses its node's network, and what that means decides (R24).
    HostNetwork,
    /// A pod and itself (R23).
    Itself,
    /// A pod that NetworkPolicies keep from its own node (R22).
    OwnNode,
    /// Policies of one tier and priority match and decide differently.
    EqualPriority,
    /// A domain name that may or may not stand for the destination decides.
    DomainName,
    /// A pod without an address, and whether a block holds it decides.
    NoAddress,
    /// A pod that is on no node yet, and whether it will be on the other end's decides.
    NoNode,
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
    if let Some(why) = side::not_there(from).or(side::not_there(to)) {
        return Reading::Undefined(why);
    }
    if !side::may_meet(from.address(), to.address()) {
        return Reading::Undefined(Undefined::NoSuchEnd);
    }
    if from
        .pod()
        .zip(to.pod())
        .is_some_and(|(source, target)| source.name == target.name)
    {
        return Reading::Undefined(Undefined::Itself);
    }
    let apart = as_placed(snapshot, from, to, protocol, port);
    let Some(node) = side::node_in_common(from, to) else {
        return apart;
    };
    // It may come to be on the other end's node.
    let (source, target) = (side::placed(from, node), side::placed(to, node));
    let from = source.as_ref().map_or(from, |pod| side::moved(from, pod));
    let to = target.as_ref().map_or(to, |pod| side::moved(to, pod));
    common(Possible {
        first: apart,
        others: vec![(as_placed(snapshot, from, to, protocol, port), Undefined::NoNode)],
    })
}

/// The answer where every pod is on the node that it says, and on nobody's where it says none.
fn as_placed(snapshot: &Snapshot, from: Party<'_>, to: Party<'_>, protocol: Protocol, port: u16) -> Reading {
    let with = |host_pods| common(answers(snapshot, from, to, protocol, port, host_pods));
    common(Possible {
        first: with(HostPods::AsPods),
        others: vec![(with(HostPods::AsNodes), Undefined::HostNetwork)],
    })
}

/// Every answer that a plugin may give that takes hostNetwork pods one way.
fn answers(
    snapshot: &Snapshot,
    from: Party<'_>,
    to: Party<'_>,
    protocol: Protocol,
    port: u16,
    host_pods: HostPods,
) -> Possible<Reading> {
    let side = |pod, way, other| {
        side::outcome(&Side {
            snapshot,
            pod,
            way,
            other,
            protocol,
            port,
            host_pods,
        })
    };
    let unasked = || Possible::sure(Outcome::Accepted);
    let egress = from
        .pod()
        .map_or_else(unasked, |source| side(source, Way::Egress, to));
    let ingress = to
        .pod()
        .map_or_else(unasked, |target| side(target, Way::Ingress, from));
    let to_own_node = from
        .pod()
        .is_some_and(|source| side::is_own_node(source, to, host_pods));
    // "Both the egress policy on the source pod and the ingress policy on the destination pod need to allow the
    // connection" (R2); accepted by an egress rule, "any ingress rules at the destination do apply".
    egress.then(|egress| {
        ingress
            .clone()
            .then(|ingress| Possible::sure(answer(egress, ingress, to_own_node)))
    })
}

fn answer(egress: Outcome, ingress: Outcome, to_own_node: bool) -> Reading {
    match (egress, ingress) {
        (Outcome::Accepted, Outcome::Accepted) => Reading::Permitted,
        // One section of the page exempts this traffic and another does not (R22).
        (Outcome::RefusedByNetworkPolicies, _) if to_own_node => Reading::Undefined(Undefined::OwnNode),
        (egress, ingress) => Reading::Refused {
            egress: egress != Outcome::Accepted,
            ingress: ingress != Outcome::Accepted,
        },
    }
}

/// The answer that all have in common, whichever side it is that refuses.
fn common(possible: Possible<Reading>) -> Reading {
    possible
        .others
        .into_iter()
        .fold(possible.first, |so_far, (other, why)| match (so_far, other) {
            (Reading::Undefined(why), _) => Reading::Undefined(why),
            (Reading::Permitted, Reading::Permitted) => Reading::Permitted,
            (
                Reading::Refused { egress, ingress },
                Reading::Refused {
                    egress: other_egress,
                    ingress: other_ingress,
                },
            ) => Reading::Refused {
                egress: egress || other_egress,
                ingress: ingress || other_ingress,
            },
            _ => Reading::Undefined(why),
        })
}
