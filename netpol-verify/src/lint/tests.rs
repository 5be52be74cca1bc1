//! The guide under lint, and how findings are shown.

use std::path::Path;

use super::{Finding, Lint, Severity, Subject, json, lint, schema, table};
use crate::{
    cluster::{Loaded, Place},
    pinned::pinned,
    policy::{Intent, compile},
    report::Style,
};

fn of_folder(folder: &str, with_intent: bool) -> Vec<Finding> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("scenarios")
        .join(folder);
    let mut loaded = Loaded::from_paths(std::slice::from_ref(&path));
    let locator = loaded.take_locator();
    let (snapshot, problems) = loaded.into_snapshot();
    let (set, _) = compile(&snapshot);
    let file = path.join("intent.yaml");
    let (intent, _) = Intent::parse(&std::fs::read_to_string(&file).unwrap(), &file);
    let place = Place { file, line: 0 };
    let mut findings = lint(Subject {
        snapshot: &snapshot,
        set: &set,
        problems: &problems,
        locator: &locator,
        is_whole: false,
        intent: with_intent.then_some((&intent, &place)),
    });
    for place in findings.iter_mut().filter_map(|finding| finding.place.as_mut()) {
        place.file = Path::new(folder).join(place.file.file_name().unwrap());
    }
    findings
}

fn listed(findings: &[Finding]) -> Vec<String> {
    let serious = findings.iter().filter(|it| it.severity <= Severity::Warning);
    serious
        .map(|it| {
            format!(
                "{} {} {}",
                it.code,
                it.object.as_deref().unwrap(),
                it.place.as_ref().unwrap()
            )
        })
        .collect()
}

#[test]
fn the_guide_has_two_half_paths_and_the_corrected_one_none() {
    assert_eq!(
        listed(&of_folder("guide", false)),
        [
            "NPL002 NetworkPolicy netpol-demo/allow-client-to-frontend guide/allow-paths.yaml:12",
            "NPL002 NetworkPolicy netpol-demo/allow-backend-to-database guide/allow-paths.yaml:60",
        ]
    );
    assert_eq!(listed(&of_folder("guide-corrected", false)), Vec::<String>::new());
}

#[test]
fn what_breaks_the_intent_is_found_with_what_mends_it() {
    let findings = of_folder("guide", true);
    let broken: Vec<&Finding> = findings.iter().filter(|it| it.code == "NPL028").collect();
    assert_eq!(broken.len(), 2);
    assert!(
        broken[0]
            .message
            .starts_with("netpol-demo/external-client to netpol-demo/frontend on TCP/80 is wanted open")
    );
    assert!(
        broken
            .iter()
            .all(|it| it.manifest.as_ref().unwrap().contains("policyTypes:\n  - Egress"))
    );
    assert_eq!(listed(&of_folder("guide-corrected", true)), Vec::<String>::new());
}

fn document(findings: Vec<Finding>) -> Lint {
    Lint::new(findings, 7, 5, Severity::Info)
}

#[test]
fn the_committed_lint_schema_is_the_codes() {
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    pinned("schema/lint.schema.json", &text);
}

#[test]
fn the_guide_reads_as_pinned() {
    let text = table(&document(of_folder("guide", true)), Style::plain());
    pinned("src/lint/pinned/guide.txt", &text);
}

#[test]
fn findings_keep_to_their_schema_and_come_back_from_json() {
    let validator = jsonschema::validator_for(schema().as_value()).unwrap();
    let lint = document(of_folder("guide", true));
    let text = json(&lint).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&value)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(serde_json::from_str::<Lint>(&text).unwrap(), lint);
    let mut bad = value;
    *bad.pointer_mut("/findings/0/severity").unwrap() = "grave".into();
    assert!(!validator.is_valid(&bad));
}

#[test]
fn the_threshold_hides_and_counts() {
    let findings = of_folder("guide", false);
    let lint = Lint::new(findings, 7, 5, Severity::Error);
    assert_eq!(
        (lint.findings.len(), lint.summary.warnings, lint.unlisted()),
        (0, 2, 3)
    );
    let text = table(&lint, Style::plain());
    assert!(text.contains("3 lesser findings not shown"), "{text}");
}

#[test]
fn no_line_is_wider_than_the_terminal_and_no_text_drives_it() {
    let evil = "\u{1b}]0;x\u{7}\u{202e}\r\n";
    let mut findings = of_folder("guide", true);
    for finding in &mut findings {
        finding.object.as_mut().unwrap().push_str(evil);
        finding.message.push_str(evil);
        finding.fix.push_str(evil);
        finding.path = Some(evil.to_owned());
        if let Some(place) = &mut finding.place {
            place.file.push(evil);
        }
        if let Some(manifest) = &mut finding.manifest {
            manifest.push_str(evil);
        }
    }
    let lint = document(findings);
    let bad = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
    assert_eq!(json(&lint).unwrap().chars().find(bad), None);
    assert_eq!(table(&lint, Style::plain()).chars().find(bad), None);
    for width in [60, 80, 140] {
        let text = table(
            &document(of_folder("guide", true)),
            Style { colour: false, width },
        );
        // A manifest is there to be copied: its lines stay whole.
        for line in text.lines().filter(|line| !line.starts_with("      ")) {
            assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
        }
    }
}
