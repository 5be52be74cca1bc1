//! The policies of the cluster's administrators: contradictions, rules that are never reached, and Deny to everywhere.

use ipnet::IpNet;

use super::{
    code::{ADMIN_RULE_NEVER_REACHED, DENY_CUTS_PODS, EQUAL_PRIORITY},
    cover,
    finding::Finding,
    groups::{Group, GroupId},
    spelled::is_everything,
    world::World,
    written::selector,
};
use crate::{
    cluster::{
        Action, AdminKind, AdminPeer, AdminPods, AdminPort, AdminRule, SourcedAdminPolicy, cidr::parse_cidr,
        path::FieldPath,
    },
    net::Protocol,
    policy::{Direction, Expectation, Traffic, Unspecified, between},
};

/// How many attempts are tried for one pair of rules that may contradict each other.
const TRIES: usize = 64;

pub(super) fn find(world: &World<'_>, out: &mut Vec<Finding>) {
    let all = &world.snapshot.admin;
    for (at, policy) in all.iter().enumerate() {
        for (direction, rules) in ways(policy) {
            never_reached(policy, direction, rules, out);
            if direction == Direction::Egress {
                cuts_pods(world, policy, rules, out);
            }
        }
        for earlier in all.iter().take(at) {
            let same_place = (earlier.object.tier, earlier.object.priority)
                == (policy.object.tier, policy.object.priority);
            if same_place && let Some(message) = contradiction(world, earlier, policy) {
                let fix = "Give one of the two another priority; the lower number is asked first.";
                let finding = Finding::new(EQUAL_PRIORITY, message, fix);
                out.push(about(finding, policy).at(&FieldPath::of("spec.priority")));
            }
        }
    }
}

fn about(finding: Finding, policy: &SourcedAdminPolicy) -> Finding {
    finding.about(name(policy), Some(&policy.place))
}

fn name(policy: &SourcedAdminPolicy) -> String {
    format!("{} {}", policy.object.kind, policy.object.name)
}

fn ways(policy: &SourcedAdminPolicy) -> [(Direction, &[AdminRule]); 2] {
    [
        (Direction::Ingress, &policy.object.ingress),
        (Direction::Egress, &policy.object.egress),
    ]
}

fn path_of(direction: Direction, index: usize) -> FieldPath {
    FieldPath::of("spec").key(&direction.to_string()).index(index)
}

fn word(kind: AdminKind, action: Action) -> &'static str {
    match action {
        Action::Accept => kind.accept(),
        Action::Deny => "Deny",
        Action::Pass => "Pass",
    }
}

/// A rule that cannot be read is closed, and its problem is told already.
fn is_readable(rule: &AdminRule) -> bool {
    !rule.peers.contains(&AdminPeer::Unknown) && !rule.ports.contains(&AdminPort::Unknown)
}

fn never_reached(
    policy: &SourcedAdminPolicy,
    direction: Direction,
    rules: &[AdminRule],
    out: &mut Vec<Finding>,
) {
    for (index, rule) in rules.iter().enumerate() {
        let earlier = rules.iter().take(index).enumerate();
        let mut readable = earlier.filter(|(_, it)| is_readable(it) && is_readable(rule));
        if let Some((before, outer)) = readable.find(|(_, outer)| covers(outer, rule)) {
            let message = format!(
                "is never reached: {} ({}) matches all that it does.",
                path_of(direction, before),
                word(policy.object.kind, outer.action)
            );
            let fix = if outer.action == rule.action {
                "Take it out."
            } else {
                "Put it before that rule, or take it out."
            };
            let finding = Finding::new(ADMIN_RULE_NEVER_REACHED, message, fix);
            out.push(about(finding, policy).at(&path_of(direction, index)));
        }
    }
}

fn covers(outer: &AdminRule, inner: &AdminRule) -> bool {
    let peers = inner
        .peers
        .iter()
        .all(|one| outer.peers.iter().any(|other| covers_peer(other, one)));
    let ports = outer.ports.is_empty()
        || !inner.ports.is_empty()
            && inner
                .ports
                .iter()
                .all(|one| outer.ports.iter().any(|other| covers_port(other, one)));
    peers && ports
}

fn covers_peer(outer: &AdminPeer, inner: &AdminPeer) -> bool {
    match (outer, inner) {
        (AdminPeer::Pods(outer), AdminPeer::Pods(inner)) => {
            let both = selectors(outer).zip(selectors(inner));
            both.is_some_and(|(outer, inner)| {
                cover::selector(&outer.0, &inner.0) && cover::selector(&outer.1, &inner.1)
            })
        }
        (AdminPeer::Networks(outer), AdminPeer::Networks(inner)) => inner.iter().all(|one| {
            let one = parse_cidr(one);
            one.is_ok_and(|one| nets(outer).any(|other| other.contains(&one)))
        }),
        (AdminPeer::Nodes(outer), AdminPeer::Nodes(inner)) => outer == inner,
        (AdminPeer::DomainNames(outer), AdminPeer::DomainNames(inner)) => {
            inner.iter().all(|name| outer.contains(name))
        }
        _ => false,
    }
}

fn nets(texts: &[String]) -> impl Iterator<Item = IpNet> {
    texts.iter().filter_map(|text| parse_cidr(text).ok())
}

fn selectors(pods: &AdminPods) -> Option<(crate::policy::Selector, crate::policy::Selector)> {
    selector(Some(&pods.namespaces)).zip(selector(Some(&pods.pods)))
}

/// The ports of an entry as a range; `None` for names.
const fn range(port: &AdminPort) -> Option<(Protocol, u16, u16)> {
    match port {
        AdminPort::All(protocol) => Some((*protocol, 1, u16::MAX)),
        AdminPort::Range(protocol, first, last) => Some((*protocol, *first, *last)),
        AdminPort::Named(_) | AdminPort::Unknown => None,
    }
}

fn covers_port(outer: &AdminPort, inner: &AdminPort) -> bool {
    match (range(outer), range(inner)) {
        (Some(outer), Some(inner)) => cover::range(outer, inner),
        (None, None) => outer == inner,
        _ => false,
    }
}

fn cuts_pods(world: &World<'_>, policy: &SourcedAdminPolicy, rules: &[AdminRule], out: &mut Vec<Finding>) {
    let everybody = |rule: &AdminRule| {
        let pods = rule.peers.iter().any(|peer| match peer {
            AdminPeer::Pods(pods) => {
                selectors(pods).is_some_and(|(homes, pods)| is_everything(&homes) && is_everything(&pods))
            }
            _ => false,
        });
        pods && rule.ports.is_empty()
    };
    for (index, rule) in rules.iter().enumerate() {
        let is_all = |peer: &AdminPeer| match peer {
            AdminPeer::Networks(networks) => nets(networks).any(|net| net.prefix_len() == 0),
            _ => false,
        };
        let spared = rules.iter().take(index).any(everybody);
        let has_pods = !subjects(world, policy).is_empty();
        if rule.action == Action::Deny && rule.peers.iter().any(is_all) && !spared && has_pods {
            let message = "denies all addresses, and pods have addresses too: traffic between pods is stopped as well, \
                           unless an earlier rule or policy lets it through.";
            let fix = "If only the outside is meant, put a rule before it that lets pods (or the pods' network) through.";
            let finding = Finding::new(DENY_CUTS_PODS, message, fix);
            out.push(about(finding, policy).at(&path_of(Direction::Egress, index)));
        }
    }
}

fn subjects(world: &World<'_>, policy: &SourcedAdminPolicy) -> Vec<GroupId> {
    visible(world, &policy.object.subject)
}

/// The pods that administrators' selectors see: never those of the node's network.
fn visible(world: &World<'_>, pods: &AdminPods) -> Vec<GroupId> {
    let selected = selectors(pods).map(|(homes, pods)| world.groups.selected(&homes, &pods));
    let seen = |number: &GroupId| !world.groups.of(&[*number]).any(Group::is_host);
    selected.unwrap_or_default().into_iter().filter(seen).collect()
}

/// Whether the engine finds an attempt that the two decide differently; which one, in words.
fn contradiction(world: &World<'_>, one: &SourcedAdminPolicy, other: &SourcedAdminPolicy) -> Option<String> {
    let mut shared = subjects(world, one);
    if !shared.is_empty() {
        let others = subjects(world, other);
        shared.retain(|group| others.contains(group));
    }
    // Without a pod that both speak about no attempt is decided by both.
    if shared.is_empty() {
        return None;
    }
    for ((direction, rules), (_, other_rules)) in ways(one).into_iter().zip(ways(other)) {
        for (index, rule) in rules.iter().enumerate() {
            let differing = other_rules
                .iter()
                .enumerate()
                .filter(|(_, it)| it.action != rule.action);
            for (other_index, other_rule) in differing {
                let found = attempts(world, direction, &shared, rule, other_rule)
                    .into_iter()
                    .find(|traffic| {
                        let decision = world.set.decide(traffic);
                        decision.expectation == Expectation::Unspecified(Unspecified::EqualPriority)
                    });
                if let Some(traffic) = found {
                    return Some(format!(
                        "has the priority of {} ({}) and contradicts it: of {} to {} on {}/{}, {} says {} and {} there says {}.",
                        name(one),
                        one.place,
                        traffic.from,
                        traffic.to,
                        traffic.protocol,
                        traffic.port,
                        path_of(direction, other_index),
                        word(other.object.kind, other_rule.action),
                        path_of(direction, index),
                        word(one.object.kind, rule.action),
                    ));
                }
            }
        }
    }
    None
}

/// Attempts between pods that both rules match.
fn attempts(
    world: &World<'_>,
    direction: Direction,
    subjects: &[GroupId],
    one: &AdminRule,
    other: &AdminRule,
) -> Vec<Traffic> {
    let Some((protocol, port)) = shared_port(one, other) else {
        return Vec::new();
    };
    let peers = |rule: &AdminRule| -> Vec<GroupId> {
        let pods = rule.peers.iter().filter_map(|peer| match peer {
            AdminPeer::Pods(pods) => Some(visible(world, pods)),
            _ => None,
        });
        pods.flatten().collect()
    };
    let (mut shared, others) = (peers(one), peers(other));
    shared.retain(|group| others.contains(group));
    let pairs = world
        .groups
        .of(subjects)
        .flat_map(|subject| world.groups.of(&shared).map(move |peer| (subject, peer)))
        .filter(|(subject, peer)| subject.id != peer.id);
    pairs
        .flat_map(|(subject, peer)| match direction {
            Direction::Ingress => between(peer.pod, subject.pod),
            Direction::Egress => between(subject.pod, peer.pod),
        })
        .map(|(from, to)| Traffic::direct(from, to, protocol, port))
        .take(TRIES)
        .collect()
}

/// A port that both rules match by number.
fn shared_port(one: &AdminRule, other: &AdminRule) -> Option<(Protocol, u16)> {
    let every = Protocol::ALL.map(AdminPort::All);
    let of = |rule: &AdminRule| -> Vec<(Protocol, u16, u16)> {
        let ports = if rule.ports.is_empty() {
            &every[..]
        } else {
            &rule.ports[..]
        };
        ports.iter().filter_map(range).collect()
    };
    let others = of(other);
    of(one).into_iter().find_map(|(protocol, first, last)| {
        others
            .iter()
            .filter(|(it, ..)| *it == protocol)
            .find_map(|(_, other_first, other_last)| {
                let start = first.max(*other_first);
                (start <= last.min(*other_last)).then_some((protocol, start))
            })
    })
}
