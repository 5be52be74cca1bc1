//! One rule of an administrator's policy: its action, and whether it matches one side of a connection.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{
    Undefined, Way,
    block::Block,
    peer,
    possible::Match,
    selector,
    side::{Party, SOME_NODE, Side},
};
use crate::cluster::{Action, AdminPeer, AdminPort, AdminRule, Node, Pod};

/// The action of the rule, and whether it matches.
pub(super) fn read(side: &Side<'_>, rule: &AdminRule) -> (Action, Match) {
    if is_known(side.way, rule) {
        return (rule.action, matches(side, rule));
    }
    // "For Accept rules, fail closed means: treat the rule as matching no traffic. For Deny and Pass rules, fail closed
    // means: treat the rule as a Deny all rule."
    match rule.action {
        Action::Accept => (Action::Accept, Match::No),
        Action::Deny | Action::Pass => (Action::Deny, Match::Yes),
    }
}

/// Whether everything in the rule is something that the API has at this place.
pub(super) fn is_known(way: Way, rule: &AdminRule) -> bool {
    let peers = rule.peers.iter().all(|peer| match peer {
        AdminPeer::Pods(_) => true,
        AdminPeer::Nodes(_) => way == Way::Egress,
        AdminPeer::Networks(blocks) => {
            way == Way::Egress && blocks.iter().all(|block| Block::whole(block).is_some())
        }
        // "DomainNames is only supported for Accept rules."
        AdminPeer::DomainNames(_) => way == Way::Egress && rule.action == Action::Accept,
        AdminPeer::Unknown => false,
    });
    peers && rule.ports.iter().all(|port| *port != AdminPort::Unknown)
}

/// "If any element matches the source of incoming traffic", respectively "the destination of outgoing traffic", "then
/// the specified action is applied."
fn matches(side: &Side<'_>, rule: &AdminRule) -> Match {
    Match::any(rule.peers.iter().map(|peer| {
        // Names are those of the pod that the packets go to; "there are no namedPorts for networks/nodes/domainNames".
        let target = match (side.way, peer) {
            (Way::Ingress, _) => Some(side.pod),
            (Way::Egress, AdminPeer::Pods(_)) => side.other.pod(),
            (Way::Egress, _) => None,
        };
        peer_matches(side, peer).and(ports_match(side, rule, target))
    }))
}

fn peer_matches(side: &Side<'_>, peer: &AdminPeer) -> Match {
    match peer {
        // "Note that host-networked pods are not included in this type of peer."
        AdminPeer::Pods(wanted) => Match::sure(
            side.other
                .pod()
                .is_some_and(|pod| !pod.host_network && peer::admin_selects(side.snapshot, wanted, pod)),
        ),
        AdminPeer::Nodes(wanted) => node_matches(side, wanted),
        // "Cluster-internal traffic will be checked against the rule as well."
        AdminPeer::Networks(blocks) => Match::any(
            blocks
                .iter()
                .filter_map(|block| Block::whole(block))
                .map(|block| block.holds(side.other.address())),
        ),
        // What is in the cluster is known by other names.
        AdminPeer::DomainNames(_) => match side.other {
            Party::Outside(_) => Match::Perhaps(Undefined::DomainName),
            Party::Pod { .. } | Party::Node { .. } => Match::No,
        },
        AdminPeer::Unknown => Match::No,
    }
}

/// "It selects the nodeIPs as the peer type by matching on the IPs present in the node.Status.Addresses field."
fn node_matches(side: &Side<'_>, wanted: &LabelSelector) -> Match {
    let mut selected = side
        .snapshot
        .nodes
        .iter()
        .filter(|node| selector::matches(wanted, &node.labels));
    match side.other {
        // A hostNetwork pod that has no address yet will have its node's, whichever that is.
        Party::Pod { pod, address: None } if pod.host_network => match &pod.node {
            Some(name) if name != SOME_NODE => Match::sure(selected.any(|node| node.name == *name)),
            _ => selected
                .next()
                .map_or(Match::No, |_| Match::Perhaps(Undefined::NoAddress)),
        },
        // Any other pod's will be no node's.
        other => Match::sure(
            other
                .address()
                .is_some_and(|address| selected.any(|node: &Node| node.addresses.contains(&address))),
        ),
    }
}

/// "If unspecified, protocol-specific attributes will not be used to match traffic."
fn ports_match(side: &Side<'_>, rule: &AdminRule, target: Option<&Pod>) -> bool {
    rule.ports.is_empty()
        || rule.ports.iter().any(|port| match port {
            AdminPort::All(protocol) => *protocol == side.protocol,
            AdminPort::Range(protocol, first, last) => {
                *protocol == side.protocol && (*first..=*last).contains(&side.port)
            }
            // "Selects a destination port on a pod based on the ContainerPort name", whatever its protocol.
            AdminPort::Named(name) => target.is_some_and(|pod| {
                pod.ports.iter().any(|declared| {
                    declared.name.as_deref() == Some(name)
                        && declared.protocol == side.protocol
                        && declared.port == side.port
                })
            }),
            AdminPort::Unknown => false,
        })
}
