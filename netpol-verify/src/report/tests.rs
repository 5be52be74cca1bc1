//! The renderers against a small run; whole outputs are pinned as files, `cargo xtask generate` rewrites them.

use std::path::Path;

use super::{Run, RunVerdict, Style, json, sample, schema, schema_text, table};
use crate::{
    finding::{Expected, JudgedAttempt, Observed, Verdict},
    net::Family,
};

/// Compares with a committed file, or rewrites it when the developers' door asks for that.
pub(crate) fn pinned(file: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("NETPOL_VERIFY_GENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == actual,
        "{file} differs from what the code gives now; if that is meant, run `cargo xtask generate`.\n\
         --- the code gives\n{actual}"
    );
}

fn changed(change: impl Fn(&mut JudgedAttempt)) -> Run {
    let mut run = sample::run("flannel", sample::STOPPED);
    run.attempts.iter_mut().for_each(change);
    sample::again(run)
}

#[test]
fn a_cni_without_engine_reads_as_pinned() {
    pinned(
        "src/report/pinned/flannel.txt",
        &table(&sample::run("flannel", sample::LEAKED), Style::plain()),
    );
}

#[test]
fn an_enforcing_cni_reads_as_pinned() {
    pinned(
        "src/report/pinned/enforcing.txt",
        &table(&sample::run("enforcing", sample::STOPPED), Style::plain()),
    );
}

#[test]
fn the_committed_schema_is_the_codes() {
    pinned("schema/run.schema.json", &schema_text().unwrap());
}

#[test]
fn a_run_keeps_to_its_schema_and_comes_back_from_json() {
    let validator = jsonschema::validator_for(schema().as_value()).unwrap();
    for run in [
        sample::run("flannel", sample::LEAKED),
        sample::run("enforcing", sample::STOPPED),
    ] {
        let text = json(&run).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(serde_json::from_str::<Run>(&text).unwrap(), run);
    }
}

#[test]
fn the_schema_refuses_what_is_no_run() {
    let validator = jsonschema::validator_for(schema().as_value()).unwrap();
    let good = serde_json::to_value(sample::run("flannel", sample::LEAKED)).unwrap();
    for (pointer, wrong) in [
        ("/verdict", "Fine"),
        ("/kind", "Walk"),
        ("/attempts/0/path", "far"),
        ("/attempts/0/observed", "Seen"),
        ("/apiVersion", "v9"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = wrong.into();
        assert!(!validator.is_valid(&bad), "{pointer}: {wrong}");
    }
}

#[test]
fn json_has_the_words_that_scripts_read() {
    let value = serde_json::to_value(sample::run("flannel", sample::LEAKED)).unwrap();
    let at = |pointer: &str| value.pointer(pointer).cloned().unwrap();
    assert_eq!(at("/apiVersion"), "netpol-verify.io/v1alpha1");
    assert_eq!(
        (at("/kind"), at("/verdict")),
        ("Run".into(), "NotEnforced".into())
    );
    assert_eq!(at("/summary/leak"), 22);
    assert_eq!(at("/stages/1/verdict"), "NotEnforced");
    assert_eq!(at("/attempts/0/path"), "cross-node");
    assert_eq!(
        (at("/attempts/0/reason"), at("/attempts/0/family")),
        (serde_json::Value::Null, "IPv4".into())
    );
    assert_eq!(
        (at("/intent/1/wanted"), at("/intent/1/broken")),
        ("open".into(), true.into())
    );
    assert_eq!(at("/findings/0/code"), "NPV001");
    assert_eq!(
        (at("/started"), at("/durationMicros")),
        ("2026-11-24T12:00:00Z".into(), 12_000.into())
    );
}

#[test]
fn the_last_line_counts_paths_not_families() {
    let text = table(&sample::run("flannel", sample::LEAKED), Style::plain());
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        "Flannel: NOT ENFORCED — 11 leaks at the last stage (of 20 paths probed)"
    );
}

#[test]
fn families_that_differ_get_a_matrix_each() {
    let run = changed(|attempt| {
        if attempt.family == Family::Ipv6 && attempt.expected == Expected::Deny {
            (attempt.observed, attempt.verdict, attempt.reason) = (Observed::Delivered, Verdict::Leak, None);
        }
    });
    let text = table(&run, Style::plain());
    assert!(
        text.contains("TCP/80 over IPv4\n") && text.contains("TCP/80 over IPv6\n"),
        "{text}"
    );
    assert_eq!(run.verdict, RunVerdict::PartiallyEnforced);
    assert!(
        text.ends_with("PARTIALLY ENFORCED — 11 leaks at the last stage (of 20 paths probed)\n"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_told_is_said_and_exits_with_3() {
    let run = changed(|attempt| {
        if attempt.stage == "open-baseline" && attempt.port == 53 {
            (attempt.observed, attempt.verdict) = (Observed::Unknown, Verdict::Inconclusive);
            attempt.reason = Some("3 records were lost: ring full".to_owned());
        }
    });
    assert_eq!((run.verdict, run.exit_code()), (RunVerdict::Inconclusive, 3));
    let text = table(&run, Style::plain());
    assert!(text.contains("unknown: 3 records were lost: ring full"), "{text}");
    assert!(
        text.ends_with("8 of 20 paths probed cannot be told over all stages; none at the last\n"),
        "{text}"
    );
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [80, 100, 140] {
        let text = table(
            &sample::run("flannel", sample::LEAKED),
            Style { colour: false, width },
        );
        for line in text.lines() {
            assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
        }
    }
}

#[test]
fn hostile_strings_drive_no_terminal() {
    let evil = "\u{1b}]0;x\u{7}\u{202e}\r\n";
    let mut run = changed(|attempt| {
        attempt.from = format!("ns{evil}/{evil}");
        attempt.by = vec![evil.to_owned()];
        attempt.reason = Some(evil.to_owned());
    });
    run.environment.cni = evil.to_owned();
    run.environment.notes = vec![evil.to_owned()];
    run.environment.fault = Some(evil.to_owned());
    for stage in &mut run.stages {
        stage.title = Some(evil.to_owned());
    }
    for path in &mut run.intent {
        (path.from, path.suggest, path.suggestion) =
            (evil.to_owned(), Some(evil.to_owned()), Some(evil.to_owned()));
    }
    run.problems.push(super::Problem {
        place: evil.to_owned(),
        object: Some(evil.to_owned()),
        path: Some(evil.to_owned()),
        message: evil.to_owned(),
    });
    run.coverage.policies.never_exercised.push(evil.to_owned());
    let text = table(&run, Style::plain());
    let bad = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
    assert_eq!(text.chars().find(bad), None);
}

#[test]
fn colour_is_there_when_asked_for_and_not_otherwise() {
    let run = sample::run("flannel", sample::LEAKED);
    assert!(!table(&run, Style::plain()).contains('\u{1b}'));
    let coloured = table(
        &run,
        Style {
            colour: true,
            width: 100,
        },
    );
    assert!(
        coloured.contains("\u{1b}[1;31mFlannel: NOT ENFORCED"),
        "{coloured}"
    );
}
