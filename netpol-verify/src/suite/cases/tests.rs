//! The cases against both readings of the policies: neither computed the tables, and both must give them.

use std::{collections::BTreeSet, fmt::Write, net::IpAddr};

use super::{Case, ExpectedChanges, ExpectedProblem, Row, Step, Suite};
use crate::{
    cluster::{Change, ObjectKey, ObjectName, Problem, Snapshot},
    finding::Expected,
    lab::literal::{Party, Reading, permits},
    net::Family,
    policy::{Expectation, PolicySet, compile},
    suite::{Dialled, outside::is_outside, pairs::Attempt},
};

/// How many mismatches a failure shows.
const SHOWN: usize = 40;

/// Every step of every case, with the cluster after it.
fn play(mut see: impl FnMut(&Suite, &Case, usize, &Step, &[Change], &Snapshot)) {
    for name in Suite::EMBEDDED {
        let suite = Suite::load(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        for case in &suite.cases {
            let mut state = suite.state();
            for (index, step) in case.steps.iter().enumerate() {
                let changes = step.play(&mut state);
                see(&suite, case, index, step, &changes, &state.snapshot());
            }
        }
    }
}

fn decided(set: &PolicySet, attempt: &Attempt) -> Expected {
    match attempt.decide(set).expectation {
        Expectation::Allow => Expected::Allow,
        Expectation::Deny => Expected::Deny,
        Expectation::Unspecified(_) => Expected::Unspecified,
    }
}

fn read(snapshot: &Snapshot, attempt: &Attempt) -> Expected {
    let (from, to) = (
        party(snapshot, &attempt.from, attempt.from_address),
        party(snapshot, &attempt.to, attempt.to_address),
    );
    let direct = permits(snapshot, from, to, attempt.protocol, attempt.port);
    let dialled = attempt.dialled.as_ref();
    match (
        dialled.filter(|dialled| dialled.address != attempt.to_address),
        direct,
    ) {
        (Some(dialled), Reading::Permitted | Reading::Refused { .. }) => {
            translated(snapshot, attempt, dialled, direct)
        }
        (_, Reading::Permitted) => Expected::Allow,
        (_, Reading::Refused { .. }) => Expected::Deny,
        (_, Reading::Undefined(_)) => Expected::Unspecified,
    }
}

fn party<'a>(snapshot: &'a Snapshot, name: &ObjectName, address: IpAddr) -> Party<'a> {
    if is_outside(name) {
        return Party::Outside(address);
    }
    Party::Pod {
        pod: snapshot.pod(name).unwrap(),
        address: Some(address),
    }
}

/// What is said of a translated connection by all who may look: the source's side may see the address that was dialled, or
/// another node whose port it was, and the destination's that of a node in the client's place (R13, R20).
fn translated(snapshot: &Snapshot, attempt: &Attempt, dialled: &Dialled, direct: Reading) -> Expected {
    let asked = |snapshot: &Snapshot, from, to| permits(snapshot, from, to, attempt.protocol, attempt.port);
    let node_at = |address: IpAddr| {
        let mut nodes = snapshot.nodes.iter();
        nodes.find(|node| node.addresses.contains(&address))
    };
    let from = party(snapshot, &attempt.from, attempt.from_address);
    let own = snapshot.pod(&attempt.from).and_then(|pod| pod.node.as_deref());
    let another = node_at(dialled.address).filter(|node| own.is_some_and(|own| own != node.name));
    let at_node = another.map(|node| {
        let node = Party::Node {
            name: &node.name,
            address: dialled.address,
        };
        permits(snapshot, from, node, attempt.protocol, dialled.port)
    });
    let mut with_both = snapshot.clone();
    for pod in with_both.pods.iter_mut().filter(|pod| pod.name == attempt.to) {
        pod.ips.push(dialled.address);
    }
    let before = asked(
        &with_both,
        party(&with_both, &attempt.from, attempt.from_address),
        party(&with_both, &attempt.to, dialled.address),
    );
    let rewritten = dialled.rewritten.iter().map(|address| {
        let node = Party::Node {
            name: &node_at(*address).unwrap().name,
            address: *address,
        };
        asked(snapshot, node, party(snapshot, &attempt.to, attempt.to_address))
    });
    let leaves: Vec<bool> = [direct, before]
        .into_iter()
        .chain(at_node)
        .map(|one| sides(one).0)
        .collect();
    let enters: Vec<bool> = [direct]
        .into_iter()
        .chain(rewritten)
        .map(|one| sides(one).1)
        .collect();
    let all = |sides: &[bool]| sides.iter().all(|open| *open);
    let none = |sides: &[bool]| sides.iter().all(|open| !open);
    if all(&leaves) && all(&enters) {
        Expected::Allow
    } else if none(&leaves) || none(&enters) {
        Expected::Deny
    } else {
        Expected::Unspecified
    }
}

/// Whether the source's side and the destination's are open.
fn sides(reading: Reading) -> (bool, bool) {
    match reading {
        Reading::Permitted => (true, true),
        Reading::Refused { egress, ingress } => (!egress, !ingress),
        Reading::Undefined(why) => panic!("no case asks what {why:?} leaves open through a Service"),
    }
}

/// Compares the whole table of every step with what a reader of the policies answers.
fn hold(reader: &str, mut ask: impl FnMut(&Snapshot) -> Box<dyn Fn(&Attempt) -> Expected + '_>) {
    let (mut rows, mut wrong) = (0_usize, Vec::new());
    play(|suite, case, index, step, _, snapshot| {
        let answer = ask(snapshot);
        for Row { attempt, expect } in suite.table(&step.expect, snapshot) {
            rows += 1;
            let answer = answer(&attempt);
            if answer != expect {
                wrong.push(format!(
                    "{} {} step {}: {} to {} {}/{} {}: the table says {expect:?}, {reader} {answer:?}",
                    suite.name,
                    case.id,
                    index + 1,
                    attempt.from,
                    attempt.to,
                    attempt.port,
                    attempt.protocol,
                    Family::of(attempt.to_address),
                ));
            }
        }
    });
    assert!(
        wrong.is_empty(),
        "{} of {rows} rows differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(SHOWN)].join("\n")
    );
    assert!(rows > 1000, "{rows}");
}

#[test]
fn the_engine_gives_every_table() {
    hold("the engine", |snapshot| {
        let (set, _) = compile(snapshot);
        Box::new(move |attempt| decided(&set, attempt))
    });
}

#[test]
fn the_literal_reading_gives_every_table() {
    hold("the literal reading", |snapshot| {
        Box::new(move |attempt| read(snapshot, attempt))
    });
}

#[test]
fn the_reader_finds_the_problems_that_are_written_and_no_other() {
    let mut problems = 0;
    play(|suite, case, index, step, _, snapshot| {
        let (_, found) = compile(snapshot);
        let found: BTreeSet<ExpectedProblem> = found.into_iter().map(named).collect();
        let expected: BTreeSet<ExpectedProblem> = step.expect.problems.iter().cloned().collect();
        problems += found.len();
        assert_eq!(found, expected, "{} {} step {}", suite.name, case.id, index + 1);
    });
    assert!(problems > 0);
}

fn named(problem: Problem) -> ExpectedProblem {
    ExpectedProblem {
        object: problem.object.unwrap_or_default(),
        path: problem.path.unwrap_or_default(),
    }
}

#[test]
fn steps_change_what_is_written_and_nothing_else() {
    let mut compared = 0;
    play(|suite, case, index, step, changes, _| {
        if let Some(expected) = &step.expect.changes {
            compared += 1;
            assert_eq!(
                &gathered(changes),
                expected,
                "{} {} step {}",
                suite.name,
                case.id,
                index + 1
            );
        }
    });
    assert!(compared > 5, "{compared}");
}

fn gathered(changes: &[Change]) -> ExpectedChanges {
    let pick = |which: fn(&Change) -> Option<&ObjectKey>| -> BTreeSet<ObjectKey> {
        changes.iter().filter_map(which).cloned().collect()
    };
    ExpectedChanges {
        added: pick(|change| match change {
            Change::Added(key) => Some(key),
            _ => None,
        }),
        changed: pick(|change| match change {
            Change::Changed(key) => Some(key),
            _ => None,
        }),
        removed: pick(|change| match change {
            Change::Removed(key) => Some(key),
            _ => None,
        }),
    }
}

#[test]
fn every_step_of_a_suite_does_something_or_is_asked_again_on_purpose() {
    // CY-193, and those copies of Kubernetes' tests that ask the same cluster twice, as their originals do.
    let again = ["CY-193", "CY-221", "CY-222", "CY-223", "CY-228"];
    let mut idle = String::new();
    play(|suite, case, index, step, _, _| {
        // Its steps are sub-tests, which put questions of their own to one cluster.
        let again = suite.name == "cnp" || again.contains(&case.id.as_str());
        if step.apply.is_empty() && step.delete.is_empty() && !step.restart && !again {
            let _ = write!(idle, "{} step {} ", case.id, index + 1);
        }
    });
    assert_eq!(idle, "");
}

/// The sub-tests of each ClusterNetworkPolicy conformance test, in order.
const CNP: [usize; 24] = [
    6, 6, 6, 6, 6, 6, 6, 2, 3, 6, 1, 1, 3, 4, 4, 4, 4, 4, 4, 4, 2, 1, 1, 2,
];

#[test]
fn cnp_has_every_test_with_every_sub_test_as_a_step() {
    let suite = Suite::load("cnp").unwrap();
    let found: Vec<(&str, usize)> = suite
        .cases
        .iter()
        .map(|case| (case.id.as_str(), case.steps.len()))
        .collect();
    let ids: Vec<String> = (1..=24).map(|number| format!("CNP-{number:02}")).collect();
    let expected: Vec<(&str, usize)> = ids.iter().map(String::as_str).zip(CNP).collect();
    assert_eq!(found, expected);
    assert_eq!(CNP.iter().sum::<usize>(), 92);
    let experimental = "experimental".to_owned();
    for case in &suite.cases {
        assert_eq!(
            case.default,
            !case.features.contains(&experimental),
            "{}",
            case.id
        );
    }
}

#[test]
fn what_a_cnp_sub_test_asks_is_answered_by_the_lines_alike() {
    let (mut asked, mut by_lines) = (0, 0);
    play(|suite, case, index, step, _, snapshot| {
        if suite.name != "cnp" {
            return;
        }
        assert!(!step.expect.probes.is_empty(), "{} step {}", case.id, index + 1);
        let mut lines = step.expect.clone();
        lines.probes.clear();
        let lines = suite.table(&lines, snapshot);
        let mut rows = suite.table(&step.expect, snapshot);
        let further = rows.split_off(lines.len());
        assert_eq!(rows, lines, "{} step {}", case.id, index + 1);
        assert!(
            further
                .iter()
                .all(|row| row.attempt.to.namespace == "forbidden-forrest"),
            "{} step {}: it is only hostNetwork pods that no line speaks of",
            case.id,
            index + 1
        );
        asked += further.len();
        by_lines += lines.len();
    });
    // Every pair of eight pods on six ports in two families, and the nodes' ports of CNP-13 and CNP-24.
    assert_eq!((by_lines, asked), (92 * 8 * 7 * 6 * 2, 64 + 60));
}
