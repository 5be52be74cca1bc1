//! The findings for people: by file and object, the worst first, with what to do under each.

use std::fmt::Write as _;

use super::{code::Severity, document::Lint, finding::Finding, finding::counted};
use crate::report::{Style, escape, escape_to, wrapped};

/// How many lines of a manifest are printed.
const MANIFEST_LINES: usize = 60;
/// The longest a message may get on a terminal.
const LONGEST: usize = 1200;

/// The whole report.
#[must_use]
pub fn table(lint: &Lint, style: Style) -> String {
    let mut text = String::new();
    for findings in lint
        .findings
        .chunk_by(|one, other| heading(one) == heading(other))
    {
        let Some(first) = findings.first() else { continue };
        text.push_str(&head(first, style));
        let mut findings: Vec<&Finding> = findings.iter().collect();
        findings.sort_by_key(|finding| finding.severity);
        for finding in findings {
            one(&mut text, finding, style);
        }
        text.push('\n');
    }
    text.push_str(&end(lint, style));
    text
}

/// What findings under one heading have in common.
fn heading(finding: &Finding) -> (Option<&std::path::Path>, Option<&str>) {
    (
        finding.place.as_ref().map(|place| place.file.as_path()),
        finding.object.as_deref(),
    )
}

fn head(finding: &Finding, style: Style) -> String {
    let object = finding.object.as_deref().map(escape);
    let file = finding.place.as_ref();
    let file = file.map(|place| escape(&place.file.display().to_string()));
    match (object, file) {
        (Some(object), Some(file)) => beside(&object, &format!("in {file}"), "  ", style, Style::bold),
        (Some(one), None) | (None, Some(one)) => format!("{}\n", style.bold(&one)),
        (None, None) => format!("{}\n", style.bold("The input")),
    }
}

/// Two pieces on one line where they fit, else the second on a line of its own.
fn beside(first: &str, second: &str, indent: &str, style: Style, ink: fn(Style, &str) -> String) -> String {
    let together = first.chars().count() + 2 + second.chars().count();
    if second.is_empty() {
        format!("{}\n", ink(style, first))
    } else if together <= usize::from(style.width) {
        format!("{}  {}\n", ink(style, first), style.dim(second))
    } else {
        format!("{}\n{indent}{}\n", ink(style, first), style.dim(second))
    }
}

fn one(text: &mut String, finding: &Finding, style: Style) {
    let line = finding
        .place
        .as_ref()
        .map(|place| place.line)
        .filter(|line| *line > 0);
    let place = [
        line.map(|line| format!("line {line}")),
        finding.path.as_deref().map(escape),
    ];
    let place: Vec<String> = place.into_iter().flatten().collect();
    let title = format!(
        "  {} {} {}",
        finding.severity,
        escape(&finding.code),
        escape(&finding.name)
    );
    let ink: fn(Style, &str) -> String = match finding.severity {
        Severity::Error => Style::red,
        Severity::Warning => Style::yellow,
        Severity::Info => Style::cyan,
    };
    text.push_str(&beside(&title, &place.join(", "), "    ", style, ink));
    text.push_str(&wrapped(
        &escape_to(&finding.message, LONGEST),
        "    ",
        style.width,
    ));
    let fix = format!("Fix: {}", escape_to(&finding.fix, LONGEST));
    text.push_str(&wrapped(&fix, "    ", style.width));
    if let Some(manifest) = &finding.manifest {
        for line in manifest.lines().take(MANIFEST_LINES) {
            let _ = writeln!(text, "      {}", style.dim(&escape_to(line, 160)));
        }
    }
}

fn end(lint: &Lint, style: Style) -> String {
    let summary = &lint.summary;
    let looked = format!(
        "{} and {} read",
        counted(summary.policies, "policy"),
        counted(summary.pods, "pod")
    );
    let counts: Vec<String> = [
        (summary.errors, "error"),
        (summary.warnings, "warning"),
        (summary.infos, "info"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| counted(count, what))
    .collect();
    let found = if counts.is_empty() {
        "nothing found".to_owned()
    } else {
        counts.join(", ")
    };
    let mut text = format!("{}\n", style.bold(&format!("{looked}: {found}")));
    if lint.unlisted() > 0 {
        let line = format!(
            "{} not shown: --min-severity info shows {}.",
            counted(lint.unlisted(), "lesser finding"),
            if lint.unlisted() == 1 { "it" } else { "them" }
        );
        text.push_str(&wrapped(&line, "", style.width));
    }
    text
}
