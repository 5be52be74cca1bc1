//! Properties over random policies.

use proptest::prelude::*;

use super::{
    Expectation, explain,
    world::{ask, given},
};
use crate::net::Protocol;

/// Small random policies over the labels of [`WORLD`], valid and not.
fn spec() -> impl Strategy<Value = String> {
    let selector = prop_oneof![
        Just("{}"),
        Just("{matchLabels: {app: web}}"),
        Just("{matchLabels: {app: api}}"),
        Just("{matchLabels: {team: red}}"),
        Just("{matchExpressions: [{key: app, operator: DoesNotExist}]}"),
        Just("{matchExpressions: [{key: app, operator: In}]}"),
    ];
    let peer = (selector.clone(), 0..6_u8).prop_map(|(selector, form)| match form {
        0 => format!("{{podSelector: {selector}}}"),
        1 => format!("{{namespaceSelector: {selector}}}"),
        2 => format!("{{namespaceSelector: {{}}, podSelector: {selector}}}"),
        3 => "{ipBlock: {cidr: 10.0.0.0/30}}".to_owned(),
        4 => "{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.1/32]}}".to_owned(),
        _ => "{}".to_owned(),
    });
    let port = prop_oneof![
        Just("{}"),
        Just("{port: 80}"),
        Just("{port: http}"),
        Just("{port: 70, endPort: 90}"),
        Just("{port: 0}")
    ];
    let list = |peers: &'static str| {
        let rule = (
            prop::collection::vec(peer.clone(), 0..3),
            prop::collection::vec(port.clone(), 0..3),
        )
            .prop_map(move |(from, ports)| {
                format!(
                    "{{{peers}: [{}], ports: [{}]}}",
                    from.join(", "),
                    ports.join(", ")
                )
            });
        prop::collection::vec(rule, 0..3).prop_map(|rules| rules.join(", "))
    };
    let types = prop_oneof![
        Just("[]"),
        Just("[Ingress]"),
        Just("[Egress]"),
        Just("[Ingress, Egress]"),
        Just("[x]")
    ];
    (selector, list("from"), list("to"), types).prop_map(|(selector, ingress, egress, types)| {
        format!("{{podSelector: {selector}, policyTypes: {types}, ingress: [{ingress}], egress: [{egress}]}}")
    })
}

const PODS: [&str; 5] = ["shop/web", "shop/api", "shop/db", "other/web", "other/bare"];

proptest! {
    #[test]
    fn the_order_of_policies_never_matters(specs in prop::collection::vec(spec(), 0..4)) {
        let texts: Vec<&str> = specs.iter().map(String::as_str).collect();
        let reversed: Vec<&str> = texts.iter().rev().copied().collect();
        let (a, b) = (given(&texts), given(&reversed));
        for from in PODS {
            for to in PODS {
                prop_assert_eq!(a.expects(from, to, 80), b.expects(from, to, 80));
            }
        }
    }

    #[test]
    fn an_added_allow_never_closes_what_isolated_pods_had_open(specs in prop::collection::vec(spec(), 0..3), more in spec()) {
        let isolate = "{podSelector: {}, policyTypes: [Ingress, Egress]}";
        let mut texts: Vec<&str> = specs.iter().map(String::as_str).chain([isolate]).collect();
        let before = given(&texts);
        texts.push(&more);
        let after = given(&texts);
        for from in PODS {
            for to in PODS {
                if before.expects(from, to, 80) == Expectation::Allow {
                    prop_assert_eq!(after.expects(from, to, 80), Expectation::Allow);
                }
            }
        }
    }

    #[test]
    fn every_denied_pair_has_a_verified_suggestion(specs in prop::collection::vec(spec(), 1..3), from in 0..5_usize, to in 0..5_usize) {
        let texts: Vec<&str> = specs.iter().map(String::as_str).collect();
        let case = given(&texts);
        let traffic = ask(PODS[from], PODS[to], Protocol::Tcp, 80);
        let explanation = explain(&case.snapshot, &case.set, &traffic);
        let denied = explanation.decision.expectation == Expectation::Deny;
        prop_assert_eq!(explanation.suggestion.is_some(), denied);
        prop_assert!(explanation.suggestion.is_none_or(|it| it.verified));
    }
}
