//! DNS forgotten: pods that may open connections by name and may not ask for names.

use std::collections::BTreeMap;

use super::{
    code::DNS_FORGOTTEN,
    finding::{Finding, listed},
    groups::Group,
    world::World,
    written::{PeerKind, PortKind, Rule, Written},
};
use crate::{
    cluster::{Pod, path::FieldPath},
    net::Protocol,
    policy::{Direction, Expectation, Traffic, between},
};

/// Where a cluster's DNS listens: 53, and OpenShift's 5353 behind its Service.
const PORTS: [u16; 2] = [53, 5353];
const NAMESPACE: &str = "kube-system";
const LABEL: (&str, &str) = ("k8s-app", "kube-dns");

pub(super) fn find(world: &World<'_>, out: &mut Vec<Finding>) {
    let servers: Vec<&Pod> = world.snapshot.pods.iter().filter(|pod| is_server(pod)).collect();
    // One finding a policy that needs names, with all the pods that lack them.
    let mut lacking: BTreeMap<usize, (&FieldPath, Vec<&Group<'_>>)> = BTreeMap::new();
    for (number, group) in (0..).zip(world.groups.iter()) {
        if group.is_host() || is_server(group.pod) {
            continue;
        }
        let isolating: Vec<(usize, &Written<'_>)> = world.isolating(number, Direction::Egress).collect();
        let rules = || {
            isolating
                .iter()
                .flat_map(|(at, policy)| policy.egress.rules.iter().map(move |rule| (*at, rule)))
        };
        let Some((policy, needing)) = rules().find(|(_, rule)| needs_names(rule)) else {
            continue;
        };
        if rules().any(|(_, rule)| may_ask(world, rule, &servers)) || !is_denied(world, group.pod, &servers) {
            continue;
        }
        lacking
            .entry(policy)
            .or_insert((&needing.path, Vec::new()))
            .1
            .push(group);
    }
    for (number, (path, groups)) in lacking {
        if let Some(policy) = world.policies.get(number) {
            out.push(finding(world, policy, path, &groups, &servers));
        }
    }
}

fn is_server(pod: &Pod) -> bool {
    pod.name.namespace == NAMESPACE
        && !pod.phase.is_terminal()
        && pod.labels.get(LABEL.0).map(String::as_str) == Some(LABEL.1)
}

/// Where a DNS pod takes questions over UDP.
fn ports_of(server: &Pod) -> Vec<u16> {
    let udp = server.ports.iter().filter(|port| port.protocol == Protocol::Udp);
    let asked = udp.filter(|port| PORTS.contains(&port.port) || port.name.as_deref() == Some("dns"));
    let mut ports: Vec<u16> = asked.map(|port| port.port).collect();
    if ports.is_empty() {
        ports.push(53);
    }
    ports
}

/// Whether a rule lets pods open something else than DNS to who is found by name: pods, or anybody.
fn needs_names(rule: &Rule) -> bool {
    let has_others = rule.peers.is_empty()
        || rule
            .peers
            .iter()
            .any(|peer| matches!(&peer.what, PeerKind::Pods { groups, .. } if !groups.is_empty()));
    let is_dns = !rule.ports.is_empty()
        && rule.ports.iter().all(|port| match &port.what {
            PortKind::Numbers(first, last) => first == last && PORTS.contains(first),
            PortKind::Name(name) => name.starts_with("dns"),
            PortKind::Invalid => true,
        });
    has_others && !is_dns
}

/// Whether a rule may let DNS out: to a server that is known, to any address (a cache on the node, a resolver outside),
/// or, where no server is known, to anything.
fn may_ask(world: &World<'_>, rule: &Rule, servers: &[&Pod]) -> bool {
    let on_port = rule.ports.is_empty()
        || rule.ports.iter().any(|port| match &port.what {
            PortKind::Numbers(first, last) => {
                let known = servers.iter().flat_map(|server| ports_of(server));
                port.protocol == Protocol::Udp
                    && known.chain(PORTS).any(|port| (*first..=*last).contains(&port))
            }
            PortKind::Name(_) => port.protocol == Protocol::Udp,
            PortKind::Invalid => false,
        });
    let to_one = rule.peers.is_empty()
        || rule.peers.iter().any(|peer| match &peer.what {
            PeerKind::Block { .. } => true,
            PeerKind::Pods { groups, .. } => {
                servers.is_empty() || world.groups.of(groups).any(|group| is_server(group.pod))
            }
            PeerKind::Invalid => false,
        });
    on_port && to_one
}

/// Whether every server that is known is denied for certain. Administrators may open it, so the engine has the word; where
/// no server is known and administrators speak about the pod's egress, nothing is certain.
fn is_denied(world: &World<'_>, pod: &Pod, servers: &[&Pod]) -> bool {
    if servers.is_empty() {
        let has_egress = |policy: &crate::cluster::AdminPolicy| !policy.egress.is_empty();
        return !world
            .snapshot
            .admin
            .iter()
            .any(|sourced| has_egress(&sourced.object));
    }
    servers.iter().all(|server| {
        attempts(pod, server).all(|ask| world.set.decide(&ask).expectation == Expectation::Deny)
    })
}

fn attempts(pod: &Pod, server: &Pod) -> impl Iterator<Item = Traffic> {
    let ends = between(pod, server);
    ports_of(server).into_iter().flat_map(move |port| {
        let traffic = move |(from, to)| Traffic::direct(from, to, Protocol::Udp, port);
        ends.clone().into_iter().map(traffic)
    })
}

fn finding(
    world: &World<'_>,
    policy: &Written<'_>,
    path: &FieldPath,
    groups: &[&Group<'_>],
    servers: &[&Pod],
) -> Finding {
    let pods = listed(groups.iter().flat_map(|group| group.names()));
    let asked = match servers {
        [] => "UDP port 53 of anything",
        _ => "UDP port 53 of the cluster's DNS (k8s-app=kube-dns in kube-system)",
    };
    let message = format!(
        "lets {pods} open connections, but no rule lets them reach {asked}: names do not resolve, unless they dial addresses only."
    );
    let attempt = groups.iter().zip(servers).find_map(|(group, server)| {
        let mut attempts = attempts(group.pod, server);
        attempts.next()
    });
    let suggestion = attempt.and_then(|attempt| world.suggestion(&attempt));
    let fix = match &suggestion {
        Some(suggestion) => format!(
            "Let them ask, UDP and TCP. Tried out for UDP ({}).",
            suggestion.summary
        ),
        None => {
            "Add an egress rule to the cluster's DNS on port 53, UDP and TCP, for every pod of the namespace."
                .to_owned()
        }
    };
    let mut finding = Finding::new(DNS_FORGOTTEN, message, fix)
        .about(policy.object(), Some(policy.place))
        .at(path);
    finding.manifest = suggestion.map(|suggestion| suggestion.manifest);
    finding
}
