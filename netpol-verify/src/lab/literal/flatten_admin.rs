//! From the administrators' policies to what a packet filter needs: one tier's rulings about one direction of a pod.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    admin_rule,
    block::Block,
    peer,
    port::PortRange,
    posture::{Origin, Peers, Ports, Ruling},
    rule::Way,
    selector, tier,
};
use crate::cluster::{Action, AdminPeer, AdminPolicy, AdminPort, AdminRule, ObjectName, Pod, Snapshot, Tier};

/// The rulings of the tier in the order in which they are asked.
pub(super) fn rulings(snapshot: &Snapshot, pod: &Pod, way: Way, of: Tier) -> Vec<Ruling> {
    let mut policies: Vec<&AdminPolicy> = snapshot
        .admin
        .iter()
        .map(|sourced| &*sourced.object)
        .filter(|policy| policy.tier == of && peer::admin_selects(snapshot, &policy.subject, pod))
        .collect();
    // "… then the implementation can apply any of the matching policies to the connection."
    policies.sort_by_key(|policy| (policy.priority, &policy.name, policy.kind));
    policies
        .into_iter()
        .flat_map(|policy| {
            let origin = |index| Origin {
                policy: ObjectName::new(policy.kind.as_str(), &policy.name),
                index,
            };
            tier::rules(policy, way)
                .iter()
                .enumerate()
                .flat_map(move |(index, rule)| of_rule(snapshot, pod, way, rule, &origin(index)))
        })
        .collect()
}

/// What one rule does; each of its rulings does the same.
fn of_rule(snapshot: &Snapshot, pod: &Pod, way: Way, rule: &AdminRule, origin: &Origin) -> Vec<Ruling> {
    let ruling = |action, peers, ports| Ruling {
        action,
        peers,
        ports,
        origin: origin.clone(),
    };
    if !admin_rule::is_known(way, rule) {
        // Read as closed: such an Accept rule matches nothing, any other one denies everything.
        return match rule.action {
            Action::Accept => Vec::new(),
            Action::Deny | Action::Pass => vec![ruling(Action::Deny, Peers::Any, Ports::Any)],
        };
    }
    let mut found = Vec::new();
    // Numbers, and the names that the pod itself resolves, hold for every peer of the rule.
    if let Some(ports) = ports_for_all_peers(rule, pod, way)
        && let Some(peers) = peers(snapshot, rule)
    {
        found.push(ruling(rule.action, peers, ports));
    }
    // On egress each peer pod resolves the names for itself; pods that agree share a ruling.
    if way == Way::Egress {
        let mut by_numbers: BTreeMap<Vec<PortRange>, Vec<IpAddr>> = BTreeMap::new();
        for peer in selected(snapshot, rule) {
            let numbers = named(rule, peer);
            if !numbers.is_empty() {
                by_numbers.entry(numbers).or_default().extend(&peer.ips);
            }
        }
        found.extend(by_numbers.into_iter().map(|(numbers, addresses)| {
            let peers = Peers::Listed {
                blocks: Vec::new(),
                addresses,
            };
            ruling(rule.action, peers, Ports::Listed(numbers))
        }));
    }
    found
}

/// The ports that do not depend on the peer; nothing when the rule lists ports and none of them is such.
fn ports_for_all_peers(rule: &AdminRule, pod: &Pod, way: Way) -> Option<Ports> {
    if rule.ports.is_empty() {
        return Some(Ports::Any);
    }
    let mut ranges: Vec<PortRange> = rule
        .ports
        .iter()
        .filter_map(|port| match *port {
            AdminPort::All(protocol) => Some(PortRange::all(protocol)),
            AdminPort::Range(protocol, first, last) => Some(PortRange {
                protocol,
                first,
                last,
            }),
            AdminPort::Named(_) | AdminPort::Unknown => None,
        })
        .collect();
    if way == Way::Ingress {
        ranges.extend(named(rule, pod));
    }
    (!ranges.is_empty()).then_some(Ports::Listed(ranges))
}

/// The numbers that the pod gives to the names in the rule, whatever their protocol.
fn named(rule: &AdminRule, pod: &Pod) -> Vec<PortRange> {
    let is_wanted = |name: &str| {
        rule.ports
            .iter()
            .any(|port| matches!(port, AdminPort::Named(wanted) if wanted == name))
    };
    pod.ports
        .iter()
        .filter(|declared| declared.name.as_deref().is_some_and(is_wanted))
        .map(|declared| PortRange {
            protocol: declared.protocol,
            first: declared.port,
            last: declared.port,
        })
        .collect()
}

/// The addresses of everybody the rule means; nothing when it means nobody.
fn peers(snapshot: &Snapshot, rule: &AdminRule) -> Option<Peers> {
    let mut blocks = Vec::new();
    let mut addresses: Vec<IpAddr> = selected(snapshot, rule)
        .into_iter()
        .flat_map(|pod| pod.ips.clone())
        .collect();
    for peer in &rule.peers {
        match peer {
            AdminPeer::Networks(cidrs) => blocks.extend(cidrs.iter().filter_map(|cidr| Block::whole(cidr))),
            AdminPeer::Nodes(wanted) => addresses.extend(
                snapshot
                    .nodes
                    .iter()
                    .filter(|node| selector::matches(wanted, &node.labels))
                    .flat_map(|node| node.addresses.clone()),
            ),
            // Pods are there already, and nobody here can resolve a domain name.
            AdminPeer::Pods(_) | AdminPeer::DomainNames(_) | AdminPeer::Unknown => {}
        }
    }
    (!blocks.is_empty() || !addresses.is_empty()).then_some(Peers::Listed { blocks, addresses })
}

/// The pods that the rule selects, never hostNetwork ones.
fn selected<'a>(snapshot: &'a Snapshot, rule: &AdminRule) -> Vec<&'a Pod> {
    snapshot
        .pods
        .iter()
        .filter(|pod| peer::takes_part(pod))
        .filter(|pod| {
            rule.peers.iter().any(
                |peer| matches!(peer, AdminPeer::Pods(wanted) if peer::admin_selects(snapshot, wanted, pod)),
            )
        })
        .collect()
}
