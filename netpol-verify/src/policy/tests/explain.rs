//! What is suggested for a denied attempt, and that it holds.

use super::{
    compile, explain,
    world::{DENY_ALL, ask, given},
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

/// The clauses of the nearest rule that are not met, in words.
fn unmet(specs: &[&str], from: &str, to: &str, port: u16) -> Vec<String> {
    let case = given(specs);
    let explanation = explain(&case.snapshot, &case.set, &ask(from, to, Protocol::Tcp, port));
    explanation
        .closed
        .iter()
        .filter_map(|side| side.nearest.as_ref())
        .flat_map(|near| {
            let rule = near.rule.to_string();
            near.unmet
                .iter()
                .map(move |it| format!("{rule} {}: {} / {}", it.clause, it.wanted, it.found))
        })
        .collect()
}

#[test]
fn the_nearest_rule_is_named_with_the_clause_that_is_not_met() {
    let to_api = |rule: &str| format!("{{podSelector: {{matchLabels: {{app: api}}}}, ingress: [{rule}]}}");
    let far = "{from: [{namespaceSelector: {matchLabels: {team: red}}, podSelector: {matchLabels: {app: db}}}], ports: [{port: 1}]}";
    let near = "{from: [{podSelector: {matchLabels: {app: db}}}, {podSelector: {matchLabels: {app: db, tier: x}}}], ports: [{port: 80}]}";
    assert_eq!(
        unmet(&[&to_api(&format!("{far}, {near}"))], "shop/web", "shop/api", 80),
        ["shop/np-0 ingress[1] from[0].podSelector: app=db / app=web"]
    );
    assert_eq!(
        unmet(
            &[&to_api(
                "{ports: [{port: 80}, {port: dns, protocol: UDP}, {port: 90, endPort: 99}]}"
            )],
            "shop/web",
            "shop/api",
            443
        ),
        ["shop/np-0 ingress[0] ports: TCP/80, UDP/dns, TCP/90-99 / TCP/443"]
    );
    assert_eq!(
        unmet(
            &[&to_api("{from: [{podSelector: {}}]}")],
            "other/web",
            "shop/api",
            1
        ),
        ["shop/np-0 ingress[0] from[0]: the policy's own namespace shop / namespace other"]
    );
    assert_eq!(
        unmet(
            &[&to_api(
                "{from: [{ipBlock: {cidr: 198.51.100.0/24, except: [198.51.100.7/32]}}]}"
            )],
            "198.51.100.7",
            "shop/api",
            1
        ),
        ["shop/np-0 ingress[0] from[0].ipBlock: 198.51.100.0/24 / 198.51.100.7, which is excepted"]
    );
    assert_eq!(
        unmet(
            &[&to_api(
                "{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [red, blue]}]}}]}"
            )],
            "other/web",
            "shop/api",
            1
        ),
        ["shop/np-0 ingress[0] from[0].namespaceSelector: team notin (blue, red) / team=red"]
    );
}

#[test]
fn a_default_deny_has_no_rule_that_could_be_near() {
    assert_eq!(
        unmet(&[DENY_ALL], "shop/web", "shop/api", 80),
        Vec::<String>::new()
    );
}

#[test]
fn what_administrators_deny_is_opened_by_an_exception_before_their_rule() {
    let deny = |tier: &str, priority: u16, rules: &str| {
        format!("{{tier: {tier}, priority: {priority}, subject: {{namespaces: {{}}}}, {rules}}}")
    };
    let egress = "egress: [{action: Deny, to: [{namespaces: {}}]}]";
    let ingress = "ingress: [{action: Deny, from: [{namespaces: {}}]}]";
    for (tier, rules) in [("Admin", egress), ("Admin", ingress), ("Baseline", ingress)] {
        let case = super::world::given_with(
            &[],
            &[
                &deny(tier, 5, rules),
                &deny(tier, 4, "egress: [{action: Pass, to: [{nodes: {}}]}]"),
            ],
        );
        let explanation = explain(
            &case.snapshot,
            &case.set,
            &ask("shop/web", "shop/api", Protocol::Tcp, 80),
        );
        assert!(explanation.closed[0].denied_by.is_some());
        let suggestion = explanation.suggestion.unwrap();
        assert!(suggestion.verified, "{}", suggestion.manifest);
        assert!(
            suggestion.manifest.contains("priority: 3"),
            "{}",
            suggestion.manifest
        );
        assert_eq!((suggestion.also_opens, suggestion.also_isolates), (0, 0));
    }
    let first = super::world::given_with(&[], &[&deny("Admin", 0, egress)]);
    let explanation = explain(
        &first.snapshot,
        &first.set,
        &ask("shop/web", "shop/api", Protocol::Tcp, 80),
    );
    assert_eq!(explanation.suggestion, None, "nothing comes before priority 0");
}
