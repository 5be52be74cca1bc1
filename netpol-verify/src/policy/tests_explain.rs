//! What is suggested for a denied attempt, and that it holds.

use super::{
    compile, explain,
    tests_world::{DENY_ALL, ask, given},
};
use crate::net::Protocol;

#[test]
fn the_suggestion_opens_what_was_asked_and_counts_what_else() {
    let case = given(&[DENY_ALL]);
    let traffic = ask("shop/web", "shop/api", Protocol::Tcp, 80);
    let explanation = explain(&case.snapshot, &case.set, &traffic);
    assert_eq!(explanation.closed.len(), 2);
    assert_eq!(explanation.closed[0].policies[0].to_string(), "shop/np-0");
    let suggestion = explanation.suggestion.unwrap();
    assert_eq!(
        suggestion.summary,
        "egress and ingress: let shop/web open TCP/80 to shop/api"
    );
    assert!(suggestion.verified);
    assert_eq!((suggestion.also_opens, suggestion.also_isolates), (0, 0));
    assert!(
        !suggestion.manifest.contains("pod-template-hash"),
        "{}",
        suggestion.manifest
    );
    assert_eq!(suggestion.manifest.matches("kind: NetworkPolicy").count(), 2);
}

#[test]
fn the_suggestion_is_one_policy_for_one_closed_side() {
    let case = given(&[
        DENY_ALL,
        "{podSelector: {matchLabels: {app: api}}, ingress: [{}]}",
    ]);
    let explanation = explain(
        &case.snapshot,
        &case.set,
        &ask("shop/web", "shop/api", Protocol::Tcp, 80),
    );
    let suggestion = explanation.suggestion.unwrap();
    assert_eq!(suggestion.summary, "egress: let shop/web open TCP/80 to shop/api");
    assert_eq!(
        suggestion.manifest,
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: allow-egress-web-to-api-tcp-80
  namespace: shop
spec:
  egress:
  - ports:
    - port: 80
      protocol: TCP
    to:
    - podSelector:
        matchLabels:
          app: api
  podSelector:
    matchLabels:
      app: web
  policyTypes:
  - Egress
"
    );
}

#[test]
fn the_suggestion_reaches_other_namespaces_nodes_and_addresses_in_both_families() {
    let case = given(&[DENY_ALL]);
    for (from, to) in [
        ("other/web", "shop/api"),
        ("other/bare", "shop/api"),
        ("shop/web", "other/web"),
        ("shop/web", "node-2"),
        ("node-2", "shop/web"),
        ("198.51.100.7", "shop/web"),
        ("shop/web", "2001:db8::7"),
    ] {
        let suggestion = explain(&case.snapshot, &case.set, &ask(from, to, Protocol::Udp, 53))
            .suggestion
            .unwrap();
        assert!(suggestion.verified, "{from} -> {to}: {}", suggestion.manifest);
    }
    let suggestion = explain(
        &case.snapshot,
        &case.set,
        &ask("other/bare", "shop/api", Protocol::Tcp, 1),
    )
    .suggestion
    .unwrap();
    assert_eq!(
        suggestion.also_opens, 1,
        "a pod without labels cannot be told from its neighbours: other/web opens too"
    );
}

#[test]
fn nothing_is_suggested_for_what_is_not_denied() {
    let case = given(&[DENY_ALL]);
    for (from, to) in [
        ("other/web", "other/bare"),
        ("shop/web", "shop/web"),
        ("shop/web", "node-1"),
    ] {
        let explanation = explain(&case.snapshot, &case.set, &ask(from, to, Protocol::Tcp, 80));
        assert_eq!(
            (explanation.closed.len(), explanation.suggestion),
            (0, None),
            "{from} -> {to}"
        );
    }
}

#[test]
fn the_suggestion_says_when_it_would_isolate_others() {
    let mut case = given(&[
        "{podSelector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}, policyTypes: [Egress]}",
    ]);
    let mut twin = case
        .snapshot
        .pods
        .iter()
        .find(|pod| pod.name.to_string() == "shop/web")
        .unwrap()
        .clone();
    twin.name.name = "twin".into();
    twin.labels.insert("tier".into(), "x".into());
    twin.ips = vec!["10.0.0.50".parse().unwrap()];
    case.snapshot.pods.push(twin);
    case.set = compile(&case.snapshot).0;
    let suggestion = explain(
        &case.snapshot,
        &case.set,
        &ask("shop/web", "shop/api", Protocol::Tcp, 80),
    )
    .suggestion
    .unwrap();
    assert_eq!((suggestion.verified, suggestion.also_isolates), (true, 1));
}

#[test]
fn labels_that_yaml_takes_for_something_else_survive_the_suggestion() {
    for hostile in [
        "yes",
        "n",
        "1.10",
        "null",
        "0x1f",
        "~",
        "",
        "a: b",
        "- x",
        "# y",
        "2026-11-24",
        ".inf",
        "1e3",
        "'q\"",
        "\u{7f}\n",
        "<<",
        "=",
        "é",
    ] {
        let mut case = given(&[DENY_ALL]);
        for pod in &mut case.snapshot.pods {
            pod.labels.insert("v".into(), hostile.into());
            pod.labels.insert("y".into(), "on".into());
        }
        case.set = compile(&case.snapshot).0;
        let suggestion = explain(
            &case.snapshot,
            &case.set,
            &ask("shop/web", "shop/api", Protocol::Tcp, 80),
        )
        .suggestion
        .unwrap();
        assert!(suggestion.verified, "{hostile:?}: {}", suggestion.manifest);
    }
}
