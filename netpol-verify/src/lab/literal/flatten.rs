//! From policies to what a packet filter needs: NetworkPolicies here, the administrators' tiers beside it.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer};

use super::{
    block::Block,
    flatten_admin,
    peer::{self, Means},
    port::{self, PortRange, Wanted},
    posture::{Accept, Isolation, Origin, Peers, PodPostures, Ports, Posture},
    rule::{self, Rule, Way},
};
use crate::cluster::{ObjectName, Pod, Snapshot, Tier};

/// Works out every pod's state. Pods that are over or use their node's network have none.
///
/// Where a specification leaves something open, one of its possibilities is taken, always the same: of policies of equal
/// priority the one whose name comes first, and domain names stand for nothing.
#[must_use]
pub fn flatten(snapshot: &Snapshot) -> Vec<PodPostures> {
    snapshot
        .pods
        .iter()
        .filter(|pod| peer::takes_part(pod))
        .map(|pod| PodPostures {
            name: pod.name.clone(),
            addresses: pod.ips.clone(),
            ingress: posture(snapshot, pod, Way::Ingress),
            egress: posture(snapshot, pod, Way::Egress),
        })
        .collect()
}

fn posture(snapshot: &Snapshot, pod: &Pod, way: Way) -> Posture {
    Posture {
        admin: flatten_admin::rulings(snapshot, pod, way, Tier::Admin),
        isolation: isolation(snapshot, pod, way),
        baseline: flatten_admin::rulings(snapshot, pod, way, Tier::Baseline),
    }
}

fn isolation(snapshot: &Snapshot, pod: &Pod, way: Way) -> Option<Isolation> {
    let policies = rule::isolating(snapshot, pod, way);
    if policies.is_empty() {
        return None;
    }
    let accepts = policies
        .iter()
        .flat_map(|policy| {
            rule::rules(policy, way)
                .into_iter()
                .enumerate()
                .flat_map(|(index, rule)| accepts(snapshot, policy, index, &rule, pod, way))
                .collect::<Vec<_>>()
        })
        .collect();
    let by_bare_denial = policies.iter().any(|policy| rule::without_rules(policy, way));
    Some(Isolation {
        accepts,
        by_bare_denial,
    })
}

/// What one rule accepts for one pod.
fn accepts(
    snapshot: &Snapshot,
    policy: &NetworkPolicy,
    index: usize,
    rule: &Rule<'_>,
    pod: &Pod,
    way: Way,
) -> Vec<Accept> {
    let origin = Origin {
        policy: ObjectName::new(
            rule::namespace(policy),
            policy.metadata.name.as_deref().unwrap_or_default(),
        ),
        index,
    };
    let namespace = rule::namespace(policy);
    let mut found = Vec::new();
    // Numbers, and the names that the pod itself resolves, hold for every peer of the rule.
    if let Some(ports) = ports_for_all_peers(rule, pod, way)
        && let Some(peers) = peers(snapshot, namespace, rule.peers)
    {
        found.push(Accept {
            peers,
            ports,
            origin: origin.clone(),
        });
    }
    // On egress each peer pod resolves the names for itself; pods that agree share an entry.
    if way == Way::Egress {
        let mut by_numbers: BTreeMap<Vec<PortRange>, Vec<IpAddr>> = BTreeMap::new();
        for peer in selected(snapshot, namespace, rule.peers) {
            let numbers = named(rule, peer);
            if !numbers.is_empty() {
                by_numbers.entry(numbers).or_default().extend(&peer.ips);
            }
        }
        found.extend(by_numbers.into_iter().map(|(numbers, addresses)| Accept {
            peers: Peers::Listed {
                blocks: Vec::new(),
                addresses,
            },
            ports: Ports::Listed(numbers),
            origin: origin.clone(),
        }));
    }
    found
}

/// The ports that do not depend on the peer; nothing when the rule lists ports and none of them is such.
fn ports_for_all_peers(rule: &Rule<'_>, pod: &Pod, way: Way) -> Option<Ports> {
    if rule.ports.is_empty() {
        return Some(Ports::Any);
    }
    let mut ranges: Vec<PortRange> = rule
        .ports
        .iter()
        .filter_map(|entry| match port::read(entry) {
            Wanted::Numbers(range) => Some(range),
            Wanted::Name(..) | Wanted::Unreadable => None,
        })
        .collect();
    if way == Way::Ingress {
        ranges.extend(named(rule, pod));
    }
    (!ranges.is_empty()).then_some(Ports::Listed(ranges))
}

/// The numbers that the pod gives to the names in the rule.
fn named(rule: &Rule<'_>, pod: &Pod) -> Vec<PortRange> {
    rule.ports
        .iter()
        .flat_map(|entry| match port::read(entry) {
            Wanted::Name(protocol, name) => port::numbers_of(pod, protocol, name),
            Wanted::Numbers(_) | Wanted::Unreadable => Vec::new(),
        })
        .collect()
}

/// The addresses of everybody the entries mean; nothing when they mean nobody.
fn peers(snapshot: &Snapshot, namespace: &str, entries: &[NetworkPolicyPeer]) -> Option<Peers> {
    if entries.is_empty() {
        return Some(Peers::Any);
    }
    let blocks: Vec<Block> = entries
        .iter()
        .filter_map(|entry| match peer::read(entry) {
            Means::Block(block) => Some(block),
            Means::Pods | Means::Unreadable => None,
        })
        .collect();
    let addresses: Vec<IpAddr> = selected(snapshot, namespace, entries)
        .into_iter()
        .flat_map(|pod| pod.ips.clone())
        .collect();
    (!blocks.is_empty() || !addresses.is_empty()).then_some(Peers::Listed { blocks, addresses })
}

/// The pods that the entries select; all of them when there are no entries.
fn selected<'a>(snapshot: &'a Snapshot, namespace: &str, entries: &[NetworkPolicyPeer]) -> Vec<&'a Pod> {
    snapshot
        .pods
        .iter()
        .filter(|pod| peer::takes_part(pod))
        .filter(|pod| {
            entries.is_empty()
                || entries.iter().any(|entry| {
                    matches!(peer::read(entry), Means::Pods) && peer::selects(snapshot, namespace, entry, pod)
                })
        })
        .collect()
}
