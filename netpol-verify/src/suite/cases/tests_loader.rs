//! What the loader takes, what it refuses, and that it names the place.

use std::{collections::BTreeSet, path::Path};

use super::{Row, Suite, SuiteError};
use crate::{
    finding::Expected,
    net::{Family, Protocol},
    suite::scenario::Folder,
};

const SUITE: &str = "apiVersion: netpol-verify.io/v1alpha1
kind: Suite
title: A small one
world: ../world.yaml
ports: [80/TCP, 81/UDP]
features: {direction: [ingress, egress]}
manifests:
  deny:
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: deny, namespace: p}
    spec: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}
cases: [one.yaml]
";

const WORLD: &str = "apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: p, labels: {pod: a}}, status: {podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: b, namespace: p, labels: {pod: b}}, status: {podIPs: [{ip: 10.0.0.2}, {ip: 'fd00::2'}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: c, namespace: m, labels: {pod: c}}, status: {podIPs: [{ip: 10.0.0.3}]}}
";

/// A suite of one file that holds these cases, the first of them in line 4.
fn load(cases: &str) -> Result<Suite, SuiteError> {
    load_text(&format!(
        "apiVersion: netpol-verify.io/v1alpha1\nkind: Cases\ncases:\n{cases}"
    ))
}

fn load_text(cases: &str) -> Result<Suite, SuiteError> {
    let files: Folder = [
        ("suite.yaml", SUITE),
        ("../world.yaml", WORLD),
        ("one.yaml", cases),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .collect();
    Suite::from_folder("small", Path::new("small"), &files)
}

/// One case of one step, which begins in line 4: the step's keys.
fn load_step(step: &str) -> Result<Suite, SuiteError> {
    load(&format!(
        "- id: S-1\n  title: t\n  features: [ingress]\n  steps:\n  - {step}\n"
    ))
}

fn table(suite: &Suite) -> Vec<Row> {
    let step = &suite.cases[0].steps[0];
    let mut state = suite.state();
    step.play(&mut state);
    suite.table(&step.expect, &state.snapshot())
}

fn open(rows: &[Row]) -> BTreeSet<String> {
    let allowed = rows.iter().filter(|row| row.expect == Expected::Allow);
    allowed
        .map(|row| {
            let attempt = &row.attempt;
            let family = Family::of(attempt.to_address);
            format!(
                "{}>{} {}/{} {family}",
                attempt.from, attempt.to, attempt.port, attempt.protocol
            )
        })
        .collect()
}

#[test]
fn a_table_is_both_sides_on_every_port_in_every_common_family() {
    let suite = load_step(
        "apply: [{like: deny}]\n    expect: {ingress: {p/*: [{from: [p/a, p/b], ports: [80/TCP], family: IPv6}]}, egress: {m/c: [{to: [p/*]}]}}",
    )
    .unwrap();
    let rows = table(&suite);
    // p/a and p/b have two families in common, each of them and m/c one: (2 × 2 + 4) pairs on two ports.
    assert_eq!(rows.len(), 16);
    assert_eq!(
        open(&rows),
        [
            "p/a>m/c 80/TCP IPv4",
            "p/a>m/c 81/UDP IPv4",
            "p/b>m/c 80/TCP IPv4",
            "p/b>m/c 81/UDP IPv4",
            "p/a>p/b 80/TCP IPv6",
            "p/b>p/a 80/TCP IPv6",
        ]
        .map(str::to_owned)
        .into()
    );
}

#[test]
fn a_probe_wins_over_the_lines_and_may_ask_on_another_port() {
    let suite = load_step(
        "expect: {ingress: {p/a: []}, egress: {}, probes: [{from: p/b, to: p/a, port: 80/TCP, family: IPv4, expect: Unspecified}, {from: m/*, to: p/a, port: 9/SCTP, expect: Allow}]}",
    )
    .unwrap();
    let rows = table(&suite);
    let of = |port, protocol| {
        let rows = rows.iter().filter(move |row| {
            row.attempt.to.to_string() == "p/a"
                && row.attempt.port == port
                && row.attempt.protocol == protocol
        });
        rows.map(|row| row.expect).collect::<Vec<_>>()
    };
    // From m/c, then from p/b in both families.
    assert_eq!(
        of(80, Protocol::Tcp),
        [Expected::Deny, Expected::Unspecified, Expected::Deny]
    );
    assert_eq!(of(9, Protocol::Sctp), [Expected::Allow]);
    assert_eq!(rows.len(), 17);
}

#[test]
fn a_part_of_a_known_manifest_is_replaced_added_or_taken_away() {
    let suite = load_step(
        "apply:
    - {like: deny, set: {'spec.ingress[0].from[0]': {namespaceSelector: {}}, spec.policyTypes: [Ingress], metadata.namespace: null}}
    - {like: Pod m/c, set: {metadata.labels: {pod: d}}}
    expect: {ingress: {}, egress: {}}",
    )
    .unwrap();
    let mut state = suite.state();
    suite.cases[0].steps[0].play(&mut state);
    let snapshot = state.snapshot();
    let policy = serde_json::to_value(&*snapshot.policies[0].object).unwrap();
    assert_eq!(
        policy["spec"],
        serde_json::json!({
            "podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"namespaceSelector": {}}]}]
        })
    );
    assert_eq!(policy["metadata"]["namespace"], "default");
    assert_eq!(snapshot.policies[0].place.to_string(), "small/one.yaml:9");
    let pod = snapshot.pod(&"m/c".parse().unwrap()).unwrap();
    assert_eq!((pod.labels["pod"].as_str(), pod.ips.len()), ("d", 1));
}

/// A step's text, and what the error must say of it.
const WRONG_STEPS: &[(&str, &str)] = &[
    ("expect: {ingress: {}}", "egress"),
    ("expect: {ingress: {}, egress: {}, extra: 1}", "extra"),
    (
        "expect: {ingress: {p/q: []}, egress: {}}",
        "small/one.yaml:8: S-1: cases[0].steps[0].expect.ingress.p/q: p/q is no pod at this step",
    ),
    ("expect: {ingress: {p: []}, egress: {}}", "is not namespace/name"),
    (
        "expect: {ingress: {p/*: [], p/a: []}, egress: {}}",
        "expect.ingress.p/a: p/a is listed twice",
    ),
    (
        "expect: {ingress: {p/a: [{from: []}]}, egress: {}}",
        "expect.ingress.p/a[0].from: is empty",
    ),
    (
        "expect:\n      ingress: {}\n      egress:\n        p/a:\n        - to: [p/b, x/b]",
        "small/one.yaml:12: S-1: cases[0].steps[0].expect.egress.p/a[0].to[1]: x/b is no pod",
    ),
    (
        "expect: {ingress: {p/a: [{from: [p/b], ports: [80/TCP, 82/TCP]}]}, egress: {}}",
        "ingress.p/a[0].ports[1]: 82/TCP is asked by nobody",
    ),
    (
        "expect: {ingress: {p/a: [{from: [p/b], ports: [80]}]}, egress: {}}",
        "is no port",
    ),
    (
        "expect: {ingress: {p/a: [{to: [p/b]}]}, egress: {}}",
        "unknown field `to`",
    ),
    (
        "expect: {ingress: {}, egress: {}, probes: [{from: p/a, to: p/q, port: 80/TCP, expect: Deny}]}",
        "expect.probes[0].to: p/q is no pod",
    ),
    (
        "expect: {ingress: {}, egress: {}, changes: {added: [Pod p/q]}}",
        "expect.changes.added[0]: \"Pod p/q\" was never there",
    ),
    (
        "delete: [NetworkPolicy p/deny]\n    expect: {ingress: {}, egress: {}}",
        "small/one.yaml:8: S-1: cases[0].steps[0].delete[0]: \"NetworkPolicy p/deny\" was never there",
    ),
    (
        "apply: [{like: allow}]\n    expect: {ingress: {}, egress: {}}",
        "steps[0].apply[0].like: \"allow\" is no manifest here; expected one of: Pod m/c, Pod p/a, Pod p/b, deny",
    ),
    (
        "apply: [{like: deny, sets: {}}]\n    expect: {ingress: {}, egress: {}}",
        "apply[0].sets: is unknown; expected like and set",
    ),
    (
        "apply: [{like: deny, set: {'spec.ingress[1].from': []}}]\n    expect: {ingress: {}, egress: {}}",
        "leads to no field",
    ),
    (
        "apply: [{like: deny, set: {'spec.ingress[x]': []}}]\n    expect: {ingress: {}, egress: {}}",
        "is no field path",
    ),
    (
        "apply: [{like: deny, set: {spec.egress: null}}]\n    expect: {ingress: {}, egress: {}}",
        "is not there to be taken away",
    ),
    (
        "apply: [{like: deny, set: {spec.ingres: []}}]\n    expect: {ingress: {}, egress: {}}",
        "small/one.yaml:8: NetworkPolicy p/deny: spec.ingres: NetworkPolicy v1 has no such field here",
    ),
    (
        "apply: [{apiVersion: v1, kind: ConfigMap, metadata: {name: s}}]\n    expect: {ingress: {}, egress: {}}",
        "is of a kind that nothing here depends on",
    ),
];

#[test]
fn every_mistake_in_a_step_is_named() {
    for (step, expected) in WRONG_STEPS {
        let error = load_step(step).unwrap_err().to_string();
        assert!(error.contains(expected), "{step}\n{error}");
        assert!(error.contains("small/one.yaml:"), "{step}\n{error}");
    }
}

#[test]
fn every_mistake_in_a_case_is_named() {
    let step = "steps: [{expect: {ingress: {}, egress: {}}}]";
    for (cases, expected) in [
        (
            format!("- {{id: A, title: t, features: [ingres], {step}}}"),
            "small/one.yaml:4: A: cases[0].features[0]: \"ingres\" is no feature",
        ),
        (
            format!(
                "- {{id: A, title: t, features: [], {step}}}\n- {{id: A, title: t, features: [], {step}}}"
            ),
            "small/one.yaml:5: A: cases[1].id: is there twice",
        ),
        (
            "- {id: A, title: t, features: [], steps: []}".to_owned(),
            "A: cases[0].steps: is empty",
        ),
        (format!("- {{id: A, titel: t, features: [], {step}}}"), "titel"),
    ] {
        let error = load(&cases).unwrap_err().to_string();
        assert!(error.contains(expected), "{cases}\n{error}");
    }
}

#[test]
fn all_mistakes_are_named_at_once() {
    let error =
        load_step("delete: [Pod p/q]\n    expect: {ingress: {p/q: []}, egress: {p/r: []}}").unwrap_err();
    assert!(
        error.to_string().starts_with("mistakes in the suite (3):\n"),
        "{error}"
    );
}

#[test]
fn a_file_must_be_one_document_of_its_kind() {
    for (text, expected) in [
        ("", "small/one.yaml: expected one YAML document"),
        ("a: 1\n---\nb: 1", "expected one YAML document"),
        (
            "{apiVersion: netpol-verify.io/v1alpha1, kind: Suite, cases: []}",
            "expected netpol-verify.io/v1alpha1 Cases",
        ),
        (
            "{apiVersion: v2, kind: Cases, cases: []}",
            "found \"v2\" \"Cases\"",
        ),
    ] {
        let error = load_text(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn a_folder_is_read_with_the_world_above_it() {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("small");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(above.path().join("world.yaml"), WORLD).unwrap();
    std::fs::write(folder.join("suite.yaml"), SUITE).unwrap();
    let load = || Suite::load(folder.to_str().unwrap());
    assert!(matches!(load(), Err(SuiteError::Missing { file, .. }) if file == "one.yaml"));
    std::fs::write(
        folder.join("one.yaml"),
        "{apiVersion: netpol-verify.io/v1alpha1, kind: Cases, cases: []}",
    )
    .unwrap();
    let suite = load().unwrap();
    assert_eq!(
        (suite.name.as_str(), suite.world.len(), suite.ports.len()),
        ("small", 3, 2)
    );
    assert!(matches!(
        Suite::load("/no/such/folder"),
        Err(SuiteError::Read { .. })
    ));
}
