//! The two readings of the policies must agree: one misreading cannot hide on both sides.

use std::cell::Cell;

use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestError, TestRunner},
};

use super::{
    literal::{
        Party, Reading,
        generate::{self, questions},
        permits,
    },
    regressions::{self, QuestionEnd},
};
use crate::{
    cluster::Snapshot,
    net::Protocol,
    policy::{End, Expectation, PolicySet, Traffic, compile},
};

fn end(party: Party<'_>) -> End {
    match party {
        Party::Pod { pod, address } => End::Pod {
            name: pod.name.clone(),
            address,
        },
        Party::Node { name, address } => End::Node {
            name: name.to_owned(),
            address,
        },
        Party::Outside(address) => End::Address(address),
    }
}

/// The question as the engine takes it; nothing where it cannot be asked.
fn traffic(from: Party<'_>, to: Party<'_>, protocol: Protocol, port: u16) -> Option<Traffic> {
    // No packet has two families: there is nothing to agree on.
    if let (Some(from), Some(to)) = (from.address(), to.address())
        && from.is_ipv4() != to.is_ipv4()
    {
        return None;
    }
    Some(Traffic::direct(end(from), end(to), protocol, port))
}

/// What the two say of a question, if that is not the same.
pub(super) fn disagreement(
    snapshot: &Snapshot,
    set: &PolicySet,
    from: Party<'_>,
    to: Party<'_>,
    protocol: Protocol,
    port: u16,
) -> Option<String> {
    let literal = permits(snapshot, from, to, protocol, port);
    let engine = set.decide(&traffic(from, to, protocol, port)?).expectation;
    let agree = matches!(
        (literal, engine),
        (Reading::Permitted, Expectation::Allow)
            | (Reading::Refused { .. }, Expectation::Deny)
            | (Reading::Undefined(_), Expectation::Unspecified(_))
    );
    (!agree).then(|| format!("literal: {literal:?}; engine: {engine:?}"))
}

/// The first question that the two disagree on, as a file to keep.
fn first_disagreement(snapshot: &Snapshot, questions: &[generate::Question]) -> Option<String> {
    let (set, _) = compile(snapshot);
    questions.iter().find_map(|question| {
        let (from, to) = question.parties(snapshot);
        let (protocol, port) = (question.protocol, question.port);
        let why = disagreement(snapshot, &set, from, to, protocol, port)?;
        let ends: (QuestionEnd, QuestionEnd) = (from.into(), to.into());
        Some(regressions::file(snapshot, ends, (protocol, port), &why))
    })
}

/// `NPV_ORACLE_CASES` and `PROPTEST_RNG_SEED` for the long run, which `cargo xtask fuzz-oracle` sets.
#[test]
fn the_engine_and_the_literal_reading_agree() {
    let cases = std::env::var("NPV_ORACLE_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(2_000_u32);
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let (clusters_seen, asked) = (Cell::new(0_u32), Cell::new(0_u64));
    let ended = runner.run(&(generate::snapshots(), questions()), |(snapshot, questions)| {
        let (_, problems) = compile(&snapshot);
        prop_assert!(
            problems.is_empty(),
            "the generator draws lawful policies: {problems:?}"
        );
        if first_disagreement(&snapshot, &questions).is_some() {
            return Err(TestCaseError::fail("they disagree"));
        }
        asked.set(asked.get() + questions.len() as u64);
        clusters_seen.set(clusters_seen.get() + 1);
        if clusters_seen.get().is_multiple_of((cases / 20).max(1_000)) {
            println!("{} of {cases} clusters", clusters_seen.get());
        }
        Ok(())
    });
    match ended {
        Ok(()) => println!(
            "the two readings agree on {} questions about {} clusters",
            asked.get(),
            clusters_seen.get()
        ),
        Err(TestError::Fail(reason, (snapshot, questions))) => panic!(
            "{reason}, after {} clusters:\n\n{}",
            clusters_seen.get(),
            first_disagreement(&snapshot, &questions).unwrap_or_default()
        ),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
