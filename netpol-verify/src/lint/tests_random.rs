//! Properties over random clusters.

use proptest::prelude::*;

use super::{
    CODES, Subject, code,
    finding::Finding,
    lint,
    world::World,
    written::{PeerKind, PortKind, Rule},
};
use crate::{
    cluster::{Locator, Snapshot},
    lab::literal::generate::snapshots,
    net::{Family, Protocol},
    policy::{Direction, Expectation, PolicySet, compile},
};

/// The ports around which the generator's policies differ.
const PORTS: [u16; 11] = [1, 52, 53, 54, 79, 80, 81, 82, 90, 91, 8080];

fn wide() -> Vec<(Protocol, u16)> {
    let of = |protocol| PORTS.map(|port| (protocol, port));
    Protocol::ALL.into_iter().flat_map(of).collect()
}

/// The ports of a rule that it gives by number.
fn numbers(rule: &Rule) -> Vec<(Protocol, u16)> {
    let is_in = |(protocol, port): &(Protocol, u16)| {
        rule.ports.iter().any(|entry| match entry.what {
            PortKind::Numbers(first, last) => entry.protocol == *protocol && (first..=last).contains(port),
            PortKind::Name(_) | PortKind::Invalid => false,
        })
    };
    wide().into_iter().filter(is_in).collect()
}

fn findings(snapshot: &Snapshot, set: &PolicySet) -> Vec<Finding> {
    lint(Subject {
        snapshot,
        set,
        problems: &[],
        locator: &Locator::default(),
        is_whole: true,
        intent: None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn lint_says_the_same_twice_and_only_known_codes(snapshot in snapshots()) {
        let (set, _) = compile(&snapshot);
        let found = findings(&snapshot, &set);
        prop_assert_eq!(&found, &findings(&snapshot, &set));
        for finding in &found {
            prop_assert!(CODES.iter().any(|code| code.id == finding.code));
        }
    }

    /// What the half paths say, by the engine: no pair of such an entry is let through on any port that is worth a question.
    #[test]
    fn of_half_a_path_nothing_gets_through(snapshot in snapshots()) {
        let (set, _) = compile(&snapshot);
        let halves = [code::EGRESS_HALF_MISSING.id, code::INGRESS_HALF_MISSING.id];
        let world = World::new(&snapshot, &set, true);
        for finding in findings(&snapshot, &set).iter().filter(|it| halves.contains(&it.code.as_str())) {
            let policy = world.policies.iter().find(|it| finding.object == Some(it.object())).unwrap();
            let path = finding.path.as_deref().unwrap();
            let mut rules = policy.live_rules();
            let (direction, rule, groups) = rules
                .find_map(|(direction, rule)| {
                    let peer = rule.peers.iter().find(|peer| peer.path.to_string() == path)?;
                    let PeerKind::Pods { groups, .. } = &peer.what else { return None };
                    Some((direction, rule, groups))
                })
                .unwrap();
            let ports = if rule.ports.is_empty() { wide() } else { numbers(rule) };
            for (protocol, port) in ports {
                let matrix = set.matrix(protocol, port);
                for subject in world.groups.of(&policy.subjects).flat_map(|group| &group.pods) {
                    for peer in world.groups.of(groups).flat_map(|group| &group.pods) {
                        let ends = match direction {
                            Direction::Ingress => (peer, subject),
                            Direction::Egress => (subject, peer),
                        };
                        if subject.name == peer.name || subject.host_network {
                            continue;
                        }
                        let ids = (set.pod_id(&ends.0.name).unwrap(), set.pod_id(&ends.1.name).unwrap());
                        for family in [Family::Ipv4, Family::Ipv6] {
                            let answer = matrix.expect(ids.0, ids.1, family);
                            prop_assert!(matches!(answer, None | Some(Expectation::Deny)), "{:?} {:?} {}/{}", finding, ends, protocol, port);
                        }
                    }
                }
            }
        }
    }

    /// What RULE_ADDS_NOTHING says, by the engine.
    #[test]
    fn a_rule_that_adds_nothing_can_go_without_a_change(snapshot in snapshots()) {
        let (set, _) = compile(&snapshot);
        for finding in findings(&snapshot, &set).iter().filter(|it| it.code == code::RULE_ADDS_NOTHING.id) {
            let without = without_rule(&snapshot, finding);
            let (after, _) = compile(&without);
            for (protocol, port) in snapshot.ports() {
                let (before, after) = (set.matrix(protocol, port), after.matrix(protocol, port));
                for from in set.pods() {
                    for to in set.pods() {
                        for family in [Family::Ipv4, Family::Ipv6] {
                            prop_assert_eq!(before.expect(from, to, family), after.expect(from, to, family));
                        }
                    }
                }
            }
        }
    }
}

fn without_rule(snapshot: &Snapshot, finding: &Finding) -> Snapshot {
    let mut without = snapshot.clone();
    let path = finding.path.as_deref().unwrap();
    let index: usize = path
        .trim_end_matches(']')
        .rsplit('[')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let policy = without
        .policies
        .iter_mut()
        .find(|policy| finding.object == Some(format!("NetworkPolicy {}", policy.name())))
        .unwrap();
    let mut object = (*policy.object).clone();
    let spec = object.spec.as_mut().unwrap();
    // What isolates is by rules where no type is listed, so the types are written out first.
    let (isolates_egress, types) = (
        spec.egress.as_ref().is_some_and(|it| !it.is_empty()),
        &mut spec.policy_types,
    );
    if types.as_ref().is_none_or(Vec::is_empty) {
        *types = Some(if isolates_egress {
            vec!["Ingress".to_owned(), "Egress".to_owned()]
        } else {
            vec!["Ingress".to_owned()]
        });
    }
    if path.starts_with("spec.ingress") {
        spec.ingress.as_mut().unwrap().remove(index);
    } else {
        spec.egress.as_mut().unwrap().remove(index);
    }
    policy.object = std::sync::Arc::new(object);
    without
}
