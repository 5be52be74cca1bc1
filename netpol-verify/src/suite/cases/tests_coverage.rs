//! What the suites cover: that no case is missing, that features are those of the origins, and `suites/COVERAGE.md`.

use std::{collections::BTreeSet, fmt::Write};

use super::{
    Case, Suite,
    tests_axes::{self, GENERAL, RULES},
};
use crate::pinned::pinned;

fn load(name: &str) -> Suite {
    Suite::load(name).unwrap_or_else(|error| panic!("{error}"))
}

fn ids(suite: &Suite) -> BTreeSet<&str> {
    suite.cases.iter().map(|case| case.id.as_str()).collect()
}

#[test]
fn no_case_is_missing() {
    let expected = |prefix: &str, width: usize, last: usize| -> BTreeSet<String> {
        (1..=last)
            .map(|number| format!("{prefix}-{number:0width$}"))
            .collect()
    };
    let cyclonus = load("cyclonus");
    assert!(ids(&cyclonus).into_iter().eq(&expected("CY", 3, 230)));
    assert_eq!(cyclonus.cases.len(), 230);
    let e2e = load("e2e");
    assert!(ids(&e2e).into_iter().eq(&expected("E2", 2, 51)));
    assert_eq!(e2e.cases.len(), 51);
    let own = load("own");
    assert!(ids(&own).into_iter().eq(&expected("OWN", 3, own.cases.len())));
}

#[test]
fn our_own_cases_leave_no_axis_empty_and_use_every_word_that_they_have() {
    let suite = load("own");
    let mut lacking = Vec::new();
    let [general, ingress, egress] = tests_axes::counted(&suite);
    for value in GENERAL.iter().flat_map(|(_, values)| *values) {
        // Whole namespaces come and go in Cyclonus' cases.
        if !general.contains_key(value) && *value != "delete namespace" {
            lacking.push(*value);
        }
    }
    for value in RULES.iter().flat_map(|(_, values)| *values) {
        if !ingress.contains_key(value) || !egress.contains_key(value) {
            lacking.push(*value);
        }
    }
    assert_eq!(lacking, Vec::<&str>::new());
    for word in suite.features.values().flatten() {
        assert!(having(&suite, std::slice::from_ref(word)).0 > 0, "{word}");
    }
}

/// Cyclonus' own counts at 12f646f: a group or tag, how many of all cases have it, how many of its default run.
const CYCLONUS: &[(&str, usize, usize)] = &[
    ("action", 7, 6),
    ("create-policy", 2, 2),
    ("update-policy", 1, 1),
    ("delete-policy", 2, 1),
    ("create-pod", 1, 1),
    ("set-pod-labels", 1, 1),
    ("delete-pod", 1, 1),
    ("create-namespace", 1, 1),
    ("set-namespace-labels", 1, 1),
    ("delete-namespace", 1, 1),
    ("target", 6, 6),
    ("target-namespace", 3, 3),
    ("target-pod-selector", 3, 3),
    ("direction", 206, 100),
    ("ingress", 105, 51),
    ("egress", 103, 51),
    ("rule", 124, 30),
    ("deny-all", 13, 10),
    ("allow-all", 7, 6),
    ("any-peer", 2, 2),
    ("any-port-protocol", 2, 2),
    ("multi-peer", 90, 0),
    ("multi-port/protocol", 14, 14),
    ("peer-pods", 110, 20),
    ("all-pods", 84, 14),
    ("pods-by-label", 54, 6),
    ("all-namespaces", 58, 10),
    ("namespaces-by-label", 54, 6),
    ("policy-namespace", 38, 4),
    ("namespaces-by-default-label", 2, 0),
    ("peer-ipblock", 38, 4),
    ("ip-block-no-except", 20, 2),
    ("ip-block-with-except", 20, 2),
    ("port", 69, 56),
    ("any-port", 14, 14),
    ("numbered-port", 40, 28),
    ("named-port", 25, 24),
    ("end-port", 12, 0),
    ("protocol", 54, 42),
    ("tcp", 20, 16),
    ("udp", 20, 16),
    ("sctp", 14, 10),
    ("miscellaneous", 36, 22),
    ("pathological", 6, 6),
    ("conflict", 17, 16),
    ("example", 1, 0),
    ("upstream-e2e", 13, 0),
];

/// How many cases have one of these features: of all, and of the default run.
fn having(suite: &Suite, features: &[String]) -> (usize, usize) {
    let has = |case: &&Case| features.iter().any(|feature| case.features.contains(feature));
    let cases: Vec<&Case> = suite.cases.iter().filter(has).collect();
    (cases.len(), cases.iter().filter(|case| case.default).count())
}

#[test]
fn cyclonus_features_are_counted_as_cyclonus_counts_them() {
    let suite = load("cyclonus");
    let mut known = 0;
    for (group, words) in &suite.features {
        let single = words.iter().map(|word| (word, vec![word.clone()]));
        for (name, features) in single.chain([(group, words.clone())]) {
            let (_, all, default) = CYCLONUS
                .iter()
                .find(|(known, ..)| known == name)
                .unwrap_or_else(|| panic!("{name} is no tag of Cyclonus"));
            assert_eq!(having(&suite, &features), (*all, *default), "{name}");
            known += 1;
        }
    }
    assert_eq!(known, CYCLONUS.len());
    assert_eq!(suite.cases.iter().filter(|case| case.default).count(), 112);
}

#[test]
fn e2e_sections_are_as_long_as_kubernetes_has_them() {
    let suite = load("e2e");
    for (section, length) in [("tcp", 43), ("udp", 3), ("sctp", 3), ("api", 2)] {
        assert_eq!(having(&suite, &[section.to_owned()]).0, length, "{section}");
    }
    let sections = &suite.features["section"];
    let one = |case: &&Case| {
        case.features
            .iter()
            .filter(|word| sections.contains(word))
            .count()
            == 1
    };
    assert_eq!(suite.cases.iter().filter(one).count(), 51);
}

#[test]
fn the_committed_table_of_contents_is_the_suites() {
    pinned("suites/COVERAGE.md", &coverage());
}

fn coverage() -> String {
    let suites: Vec<Suite> = Suite::EMBEDDED.into_iter().map(load).collect();
    let mut text = String::from(
        "# What the suites cover\n\nGenerated from the cases by `cargo xtask generate`; do not edit.\n\n\
         A row is one connection: a pair of pods, a port, a protocol, an address family, after one step. The tests of\n\
         `src/suite/cases` hold both readings of the policies (`policy` and `lab::literal`) to every row.\n\n\
         | suite | what | cases | in the origin's default run | steps | rows | of them denied |\n|---|---|---|---|---|---|---|\n",
    );
    for suite in &suites {
        let (steps, rows, denied) = size(suite);
        let default = suite.cases.iter().filter(|case| case.default).count();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {default} | {steps} | {rows} | {denied} |",
            suite.name,
            suite.title,
            suite.cases.len()
        );
    }
    axes(&suites, &mut text);
    for suite in &suites {
        contents(suite, &mut text);
    }
    text
}

/// Steps, rows, and rows that must be denied.
fn size(suite: &Suite) -> (usize, usize, usize) {
    let (mut steps, mut rows, mut denied) = (0, 0, 0);
    for case in &suite.cases {
        let mut state = suite.state();
        for step in &case.steps {
            step.play(&mut state);
            let table = suite.table(&step.expect, &state.snapshot());
            steps += 1;
            rows += table.len();
            denied += table
                .iter()
                .filter(|row| row.expect == crate::finding::Expected::Deny)
                .count();
        }
    }
    (steps, rows, denied)
}

fn axes(suites: &[Suite], text: &mut String) {
    text.push_str(
        "\n## Axes\n\nThe axes of Cyclonus' own summary, counted in the NetworkPolicies that the cases apply, with a few more. A number is how\n\
         many cases have the value; 0 is a hole. Policies of administrators, which `cnp` is made of, have other axes: see its cases. The axes\n\
         `read policies` and `empty namespace` are left out: neither is seen in an object.\n",
    );
    let counts: Vec<_> = suites.iter().map(tests_axes::counted).collect();
    text.push_str("\n| axis | value |");
    for suite in suites {
        let _ = write!(text, " `{}` |", suite.name);
    }
    let _ = writeln!(text, "\n|---|---|{}", "---|".repeat(suites.len()));
    for (axis, values) in GENERAL {
        for value in *values {
            let _ = write!(text, "| {axis} | {value} |");
            for [general, ..] in &counts {
                let _ = write!(text, " {} |", general.get(value).unwrap_or(&0));
            }
            text.push('\n');
        }
    }
    text.push_str("\n| axis of rules | value |");
    for suite in suites {
        let _ = write!(text, " `{0}` ingress | `{0}` egress |", suite.name);
    }
    let _ = writeln!(text, "\n|---|---|{}", "---|---|".repeat(suites.len()));
    for (axis, values) in RULES {
        for value in *values {
            let _ = write!(text, "| {axis} | {value} |");
            for [_, ingress, egress] in &counts {
                for count in [ingress, egress] {
                    let _ = write!(text, " {} |", count.get(value).unwrap_or(&0));
                }
            }
            text.push('\n');
        }
    }
}

fn contents(suite: &Suite, text: &mut String) {
    let _ = write!(
        text,
        "\n## `{}`: {}\n\n| group | features, with cases in all / in the default run |\n|---|---|\n",
        suite.name, suite.title
    );
    for (group, words) in &suite.features {
        let (all, default) = having(suite, words);
        let words: Vec<String> = words
            .iter()
            .map(|word| {
                let (all, default) = having(suite, std::slice::from_ref(word));
                format!("{word} {all}/{default}")
            })
            .collect();
        let _ = writeln!(text, "| {group} {all}/{default} | {} |", words.join(" · "));
    }
    text.push_str("\n| case | what it proves | features | steps | default |\n|---|---|---|---|---|\n");
    let mut cases: Vec<&Case> = suite.cases.iter().collect();
    cases.sort_by(|a, b| a.id.cmp(&b.id));
    for case in cases {
        let features: Vec<&str> = case.features.iter().map(String::as_str).collect();
        let default = if case.default { "on" } else { "off" };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {default} |",
            case.id,
            case.title,
            features.join(", "),
            case.steps.len()
        );
    }
}
