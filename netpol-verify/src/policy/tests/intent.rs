//! Intents, good and bad, against policies.

use std::path::Path;

use super::{
    Expectation, Intent, IntentCheck, Unspecified, Wanted,
    world::{ALL, DENY_ALL, given},
};
use crate::cluster::Problem;

fn intent(text: &str) -> (Intent, Vec<Problem>) {
    Intent::parse(
        &format!("apiVersion: netpol-verify.io/v1alpha1\nkind: Intent\n{text}"),
        Path::new("intent.yaml"),
    )
}

#[test]
fn an_intent_finds_the_policies_that_break_it() {
    let case = given(&[
        DENY_ALL,
        "{podSelector: {matchLabels: {app: api}}, ingress: [{}]}",
    ]);
    let (intent, problems) = intent(
        "paths:\n- {from: shop/web, to: shop/api, port: 80}\nclosed:\n- {from: other/web, to: shop/api, port: 80}\n- {from: other/web, to: shop/db, port: 80}\n",
    );
    assert_eq!(problems, []);
    let checks = intent.check(&case.set, &case.snapshot);
    let seen: Vec<_> = checks
        .iter()
        .map(|it| (it.wanted, it.policy, it.is_break()))
        .collect();
    assert_eq!(
        seen,
        [
            (Wanted::Open, Expectation::Deny, true),
            (Wanted::Closed, Expectation::Allow, true),
            (Wanted::Closed, Expectation::Deny, false),
        ]
    );
    assert_eq!(checks[0].by, ["shop/np-0 (egress)"]);
    assert_eq!(
        checks[0].suggestion.as_ref().unwrap().summary,
        "egress: let shop/web open TCP/80 to shop/api"
    );
}

#[test]
fn a_path_open_in_one_family_only_breaks_an_intent() {
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{ipBlock: {{cidr: 10.0.0.0/8}}}}]}}]}}"
    )]);
    let (intent, _) = intent("paths: [{from: shop/web, to: shop/api, port: 80}]\n");
    assert!(intent.check(&case.set, &case.snapshot)[0].is_break());
}

#[test]
fn a_star_means_every_live_pod_and_never_silently_none() {
    let case = given(&[]);
    let (intent, _) = intent(
        "paths: [{from: other/*, to: shop/api, port: 80}, {from: empty/*, to: shop/api, port: 80}, {from: shop/*, to: shop/web, port: 1}]\n",
    );
    let checks = intent.check(&case.set, &case.snapshot);
    let from: Vec<_> = checks.iter().map(|it| it.from.to_string()).collect();
    assert_eq!(
        from,
        [
            "other/bare",
            "other/web",
            "empty/*",
            "shop/api",
            "shop/db",
            "shop/host"
        ]
    );
    assert_eq!(
        checks[2].policy,
        Expectation::Unspecified(Unspecified::UnknownEnd)
    );
    assert!(!checks.iter().any(IntentCheck::is_break));
}

#[test]
fn others_closed_asks_every_pair_that_is_not_listed() {
    let case = given(&[]);
    let (intent, _) = intent(
        "paths: [{from: shop/web, to: shop/api, port: 80}, {from: shop/api, to: shop/db, port: 80}]\nothers: closed\n",
    );
    let checks = intent.check(&case.set, &case.snapshot);
    let closed = checks.iter().filter(|it| it.wanted == Wanted::Closed).count();
    assert_eq!((checks.len(), closed), (6, 4));
    assert!(
        checks
            .iter()
            .filter(|it| it.wanted == Wanted::Closed)
            .all(IntentCheck::is_break)
    );
}

#[test]
fn bad_intents_are_reported_with_line_and_key() {
    for (text, says) in [
        (
            "paths:\n- {from: shop/web, to: shop/api, port: 80}\n- {from: web, to: shop/api, port: 80}\n",
            "intent.yaml:5: Intent: paths[1].from",
        ),
        (
            "paths:\n- {from: shop/web, to: shop/api, port: 0}\n",
            "intent.yaml:4: Intent: paths[0].port",
        ),
        (
            "paths:\n- {from: shop/web, to: shop/api, port: 1, protocol: ICMP}\n",
            "paths[0].protocol",
        ),
        (
            "paths:\n- {from: 10.0.0.1, to: 10.0.0.2, port: 1}\n",
            "paths[0].to",
        ),
        ("path: []\n", "unknown field"),
        ("paths:\n- {from: a/b, to: c/d}\n", "port"),
        ("others: open\n", "unknown variant"),
        (
            "paths: [{from: a/b, to: c/d, port: 1}]\nclosed: [{from: a/b, to: c/d, port: 1}]\n",
            "open and closed",
        ),
    ] {
        let (_, problems) = intent(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].to_string().contains(says), "{}", problems[0]);
    }
    for text in [
        "",
        "apiVersion: v1\nkind: Intent\n",
        "nonsense",
        "[",
        "apiVersion: netpol-verify.io/v1alpha1\nkind: Run\n",
    ] {
        let (intent, problems) = Intent::parse(text, Path::new("i"));
        assert_eq!((intent, problems.len()), (Intent::default(), 1), "{text}");
    }
}
