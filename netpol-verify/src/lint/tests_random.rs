//! Properties over random clusters.

use proptest::prelude::*;

use super::{CODES, Subject, code, finding::Finding, lint};
use crate::{
    cluster::{Locator, Snapshot},
    lab::literal::generate::snapshots,
    policy::{PolicySet, compile},
};

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
                        for family in [crate::net::Family::Ipv4, crate::net::Family::Ipv6] {
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
