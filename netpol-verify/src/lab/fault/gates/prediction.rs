//! What each fault of gates makes of an attempt, by the literal reading.

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;

use super::{super::prediction::Made, GateFault, RESERVED_LABEL, SET_SIZE, prefix};
use crate::{
    cluster::{ObjectName, Pod},
    lab::{
        LabPod,
        fault::{
            Effect,
            attempt::{Attempt, OPEN, Sides},
        },
        literal::{Way, isolating, selects, without_rules},
    },
    net::{Family, Protocol},
};

impl GateFault {
    /// What it makes of an attempt.
    ///
    /// - `startup-reply-lost` touches what an egress-isolated pod is allowed to open: its egress side makes the flow's
    ///   entry, and the request left before that side was there.
    /// - `retransmitted-syn-accepted` touches TCP only.
    pub(in super::super) fn made(self, attempt: &Attempt<'_>, required: Sides) -> Option<Made> {
        let nodes = &attempt.world.nodes;
        let open = |of: &dyn Fn(&LabPod) -> bool| {
            required.opened(attempt.from.is_some_and(of), attempt.to.is_some_and(of))
        };
        let made = match self {
            Self::NoEngine | Self::ChainsEmpty => OPEN,
            Self::EgressUnsupported => required.opened(true, false),
            Self::IngressUnsupported => required.opened(false, true),
            Self::SameNodeOnly => looked_at(attempt, required, |own, other| own.node == other.node),
            Self::CrossNodeOnly => looked_at(attempt, required, |own, other| own.node != other.node),
            Self::OneNodeDead => {
                let dead = nodes.last().map(|node| node.name.as_str());
                open(&|lab| dead == Some(lab.node.as_str()))
            }
            Self::SetFull => open(&|lab| is_full(attempt, &lab.node)),
            Self::SharedByPrefix => return shared(attempt).map(Made::Sides),
            Self::KeyCollision => open(&|lab| is_second(attempt, &lab.pod.name)),
            Self::ForgedNamespace => open(&|lab| lab.pod.labels.contains_key(RESERVED_LABEL)),
            Self::DenyBeatsAllow => Sides {
                egress: required.egress && !bare_denial(attempt, Way::Egress),
                ingress: required.ingress && !bare_denial(attempt, Way::Ingress),
            },
            Self::RetransmittedSynAccepted => {
                let both_nodes = !attempt.same_node() && !required.egress && !required.ingress;
                let leaks = required != OPEN && attempt.protocol == Protocol::Tcp;
                return Some(Made::Effect(leaks.then_some(Effect::LeakOnRetransmission {
                    nth: if both_nodes { 2 } else { 1 },
                })));
            }
            Self::Ipv6Open => required.unless(attempt.family == Family::Ipv6),
            Self::Ipv4Open => required.unless(attempt.family == Family::Ipv4),
            Self::StartupReplyLost => {
                let lost = required == OPEN && attempt.isolated(Way::Egress);
                return Some(Made::Effect(lost.then_some(Effect::ReplyLost)));
            }
            Self::BridgeNfOff => required.unless(bridged(attempt)),
            Self::BridgeNfOffIpv4 => required.unless(bridged(attempt) && attempt.family == Family::Ipv4),
            Self::BridgeNfOffIpv6 => required.unless(bridged(attempt) && attempt.family == Family::Ipv6),
        };
        Some(Made::Sides(made))
    }
}

/// Whether only a bridge lies between the two pods. What a Service stands for is not known to a bridge: the node forwards it.
fn bridged(attempt: &Attempt<'_>) -> bool {
    let node = attempt.from.and_then(|lab| attempt.world.node(&lab.node));
    attempt.same_node() && attempt.through.is_none() && node.is_some_and(|node| node.bridge.is_some())
}

/// Gates are asked about those pods only; whatever is seen as something else passes.
fn looked_at(
    attempt: &Attempt<'_>,
    required: Sides,
    is_looked_at: impl Fn(&LabPod, &LabPod) -> bool,
) -> Sides {
    let views = attempt.views();
    let is_seen = |way| {
        let (own, other) = attempt.ends(way);
        own.zip(other)
            .is_some_and(|(own, other)| is_looked_at(own, other))
    };
    required.opened(
        !is_seen(Way::Egress) || views.destination.is_some(),
        !is_seen(Way::Ingress) || views.source.is_some(),
    )
}

/// Whether a policy without rules isolates the pod of that side.
fn bare_denial(attempt: &Attempt<'_>, way: Way) -> bool {
    attempt.ends(way).0.is_some_and(|lab| {
        isolating(&attempt.world.snapshot, &lab.pod, way)
            .into_iter()
            .any(|policy| without_rules(policy, way))
    })
}

/// Whether a pod whose joined name is the same comes before it in the order of names.
fn is_second(attempt: &Attempt<'_>, name: &ObjectName) -> bool {
    let joined = |name: &ObjectName| name.namespace.clone() + &name.name;
    let others = attempt.world.pods.iter().map(|lab| &lab.pod.name);
    others
        .take_while(|other| *other != name)
        .any(|other| joined(other) == joined(name))
}

/// Whether some rule for a pod of that node selects more pods than a set holds.
fn is_full(attempt: &Attempt<'_>, node: &str) -> bool {
    let snapshot = &attempt.world.snapshot;
    let selected = |namespace: &str, peers: &[NetworkPolicyPeer]| {
        let is_meant = |pod: &&Pod| {
            let by_selector =
                |peer: &NetworkPolicyPeer| peer.ip_block.is_none() && selects(snapshot, namespace, peer, pod);
            peers.iter().any(by_selector)
        };
        snapshot
            .pods
            .iter()
            .filter(|pod| !pod.phase.is_terminal())
            .filter(is_meant)
            .count()
    };
    let local = attempt.world.pods.iter().filter(|lab| lab.node == node);
    local.into_iter().any(|lab| {
        let of = |way| {
            isolating(snapshot, &lab.pod, way)
                .into_iter()
                .filter_map(|policy| policy.spec.as_ref())
        };
        let from = of(Way::Ingress)
            .flat_map(|spec| spec.ingress.iter().flatten())
            .map(|rule| &rule.from);
        let to = of(Way::Egress)
            .flat_map(|spec| spec.egress.iter().flatten())
            .map(|rule| &rule.to);
        let namespace = &lab.pod.name.namespace;
        from.chain(to)
            .flatten()
            .any(|peers| selected(namespace, peers) > SET_SIZE)
    })
}

/// What the policies require where a pod of a prefix has the labels and ports of the first of them.
fn shared(attempt: &Attempt<'_>) -> Option<Sides> {
    let snapshot = &attempt.world.snapshot;
    let stand_in = |lab: &LabPod| {
        let first = attempt.world.pods.iter().find(|other| {
            let (one, two) = (prefix(&other.pod.name.name), prefix(&lab.pod.name.name));
            other.pod.name.namespace == lab.pod.name.namespace && one.is_some() && one == two
        });
        first.map_or_else(
            || lab.pod.clone(),
            |first| Pod {
                labels: first.pod.labels.clone(),
                ports: first.pod.ports.clone(),
                ..lab.pod.clone()
            },
        )
    };
    let (own_from, own_to) = (attempt.from.map(stand_in), attempt.to.map(stand_in));
    let (from, to) = attempt.pods();
    // Only the pod's own gates are another's: to others it is who it is.
    Some(Sides {
        egress: attempt.between(snapshot, own_from.as_ref(), to)?.egress,
        ingress: attempt.between(snapshot, from, own_to.as_ref())?.ingress,
    })
}
