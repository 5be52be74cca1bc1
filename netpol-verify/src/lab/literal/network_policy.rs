//! What the NetworkPolicies say of one side of a connection.

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer};

use super::{
    Way,
    peer::{self, Means},
    port,
    possible::Match,
    rule::{self, Rule},
    side::{self, HostPods, Side},
};
use crate::cluster::Pod;

/// Whether a rule lets the connection through; nothing when no policy isolates the pod in that direction (R1).
pub(super) fn permits(side: &Side<'_>) -> Option<Match> {
    if !is_selectable(side, side.pod) {
        return None;
    }
    let policies = rule::isolating(side.snapshot, side.pod, side.way);
    if policies.is_empty() {
        return None;
    }
    // "When a pod is isolated for ingress, the only allowed connections into the pod are those from the pod's node
    // and those allowed by the ingress list of some NetworkPolicy that applies to the pod for ingress" (R21).
    if side.way == Way::Ingress && side::is_own_node(side.pod, side.other, side.host_pods) {
        return Some(Match::Yes);
    }
    // "… those allowed by the egress list of some NetworkPolicy that applies to the pod for egress."
    Some(Match::any(policies.into_iter().flat_map(|policy| {
        rule::rules(policy, side.way)
            .into_iter()
            .map(|rule| rule_permits(side, policy, &rule))
    })))
}

/// Whether selectors can select the pod at all (R24).
fn is_selectable(side: &Side<'_>, pod: &Pod) -> bool {
    !pod.host_network || side.host_pods == HostPods::AsPods
}

/// "The traffic must match both ports and from", respectively "to".
fn rule_permits(side: &Side<'_>, policy: &NetworkPolicy, rule: &Rule<'_>) -> Match {
    // Port names belong to the pod that the packets go to: the selected pod itself, or the peer (R17).
    let target = match side.way {
        Way::Ingress => Some(side.pod),
        Way::Egress => side.other.pod().filter(|pod| is_selectable(side, pod)),
    };
    let ports = |target| port::permit(rule.ports, target, side.protocol, side.port);
    // "If this field is empty or missing, this rule matches all sources", respectively "destinations".
    if rule.peers.is_empty() {
        return Match::sure(ports(target));
    }
    Match::any(rule.peers.iter().map(|entry| {
        match peer::read(entry) {
            // Pods' own addresses count too: ignoring them is a known divergence (R12). On egress a block is a set of
            // addresses, and addresses declare no port names (R17).
            Means::Block(block) => block
                .holds(side.other.address())
                .and(ports(target.filter(|_| side.way == Way::Ingress))),
            Means::Pods => Match::sure(selects(side, rule::namespace(policy), entry) && ports(target)),
            Means::Unreadable => Match::No,
        }
    }))
}

fn selects(side: &Side<'_>, namespace: &str, entry: &NetworkPolicyPeer) -> bool {
    side.other
        .pod()
        .is_some_and(|pod| is_selectable(side, pod) && peer::selects(side.snapshot, namespace, entry, pod))
}
