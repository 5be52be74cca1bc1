//! The two readings of the policies must agree: one misreading cannot hide on both sides.

use proptest::prelude::*;

use super::literal::{
    Party, Reading, Undefined,
    generate::{questions, snapshots},
    permits,
};
use crate::policy::{End, Expectation, Traffic, compile};

fn end(party: Party<'_>) -> End {
    match party {
        Party::Pod { pod, address } => End::Pod {
            name: pod.name.clone(),
            address: Some(address),
        },
        Party::Node { name, address } => End::Node {
            name: name.to_owned(),
            address,
        },
        Party::Outside(address) => End::Address(address),
    }
}

/// How many cases; `NPV_ORACLE_CASES` for the long run.
fn cases() -> u32 {
    std::env::var("NPV_ORACLE_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(2_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn the_engine_and_the_literal_reading_agree(snapshot in snapshots(), questions in questions()) {
        let (set, problems) = compile(&snapshot);
        prop_assert!(problems.is_empty(), "the generator draws lawful policies: {problems:?}");
        for question in questions {
            let from = question.from.party(&snapshot);
            let to = question.to.party(&snapshot);
            // No packet has two families: there is nothing to agree on.
            if from.address().is_ipv4() != to.address().is_ipv4() {
                continue;
            }
            let literal = permits(&snapshot, from, to, question.protocol, question.port);
            let traffic = Traffic::direct(end(from), end(to), question.protocol, question.port);
            let engine = set.decide(&traffic).expectation;
            let agree = match (literal, engine) {
                (Reading::Permitted, Expectation::Allow) | (Reading::Refused { .. }, Expectation::Deny) => true,
                (Reading::Undefined(why), Expectation::Unspecified(_)) => {
                    matches!(why, Undefined::NoSuchEnd | Undefined::HostNetwork | Undefined::Itself | Undefined::OwnNode)
                }
                _ => false,
            };
            prop_assert!(agree, "literal {literal:?}, engine {engine:?} on {traffic:?}");
        }
    }
}
