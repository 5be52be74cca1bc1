//! The end of the report: findings, what the policies themselves get wrong, what limits the answer, and the answer.

use std::collections::BTreeMap;

use super::{
    Intent, Losses, Problem, Run, RunVerdict, Style, Wanted, escape,
    escape::escape_to,
    path_result::{Names, fold},
};
use crate::finding::{Expected, Finding, Severity, Verdict};

/// How many pairs of ends are listed under a finding before the rest is only counted.
const PAIRS: usize = 12;
/// The head of what limits an answer.
pub(super) const TO_KNOW: &str = "To know when reading this:";
/// How many lines of a suggested manifest are printed.
const MANIFEST_LINES: usize = 60;

/// Findings by code; what belongs to one code is listed by its ends.
pub(crate) fn findings(run: &Run, names: &Names, style: Style) -> String {
    let mut by_code: BTreeMap<(Severity, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in &run.findings {
        by_code
            .entry((finding.severity, &finding.code))
            .or_default()
            .push(finding);
    }
    let mut text = String::new();
    for ((severity, code), findings) in by_code {
        let Some(first) = findings.first() else { continue };
        let count: usize = findings.iter().map(|finding| finding.count).sum();
        let head = format!(
            "{code} {} ({}, {count} attempts)",
            first.title,
            severity_word(severity)
        );
        text.push_str(&format!("{}\n", style.bold(&head)));
        let mut pairs: Vec<String> = Vec::new();
        for finding in &findings {
            let pair = format!("{} → {}", names.short(&finding.from), names.short(&finding.to));
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        let more = pairs.len().saturating_sub(PAIRS);
        pairs.truncate(PAIRS);
        if more > 0 {
            pairs.push(format!("and {more} more"));
        }
        text.push_str(&wrapped(&pairs.join(", "), "  ", style.width));
        text.push_str(&wrapped(
            &format!("What to do: {}", first.what_to_do),
            "  ",
            style.width,
        ));
    }
    text
}

const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

/// Where the policies contradict the owner's intent. No packet takes part in it.
pub(crate) fn intent(run: &Run, names: &Names, style: Style) -> String {
    let broken: Vec<&Intent> = run.intent.iter().filter(|path| path.broken).collect();
    if run.intent.is_empty() {
        return String::new();
    }
    if broken.is_empty() {
        return format!(
            "The policies say what their owner wants, on all {} paths of the intent.\n",
            run.intent.len()
        );
    }
    let head = format!(
        "On {} of {} paths the policies break their owner's intent (not the CNI's doing):",
        broken.len(),
        run.intent.len()
    );
    let mut text = format!("{}\n", style.bold(&head));
    for path in broken {
        let says = match path.policy {
            Expected::Allow => "allow",
            Expected::Deny => "deny",
            Expected::Unspecified => "leave open",
        };
        let wanted = match path.wanted {
            Wanted::Open => "open",
            Wanted::Closed => "closed",
        };
        text.push_str(&format!(
            "  {} → {} {}/{}: wanted {wanted}, the policies {says} it\n",
            names.short(&path.from),
            names.short(&path.to),
            path.protocol,
            path.port
        ));
        if !path.by.is_empty() {
            let by: Vec<String> = path.by.iter().map(|by| names.short(by)).collect();
            text.push_str(&wrapped(
                &format!("decided by {}", by.join(", ")),
                "      ",
                style.width,
            ));
        }
        if let Some(suggestion) = &path.suggestion {
            let line = format!("smallest rule that opens it: {}", escape(suggestion));
            text.push_str(&wrapped(&line, "      ", style.width));
        }
        if let Some(manifest) = &path.suggest {
            for line in manifest.lines().take(MANIFEST_LINES) {
                text.push_str(&format!("        {}\n", style.dim(&escape_to(line, 160))));
            }
        }
    }
    text
}

/// What limits the answer: lost records, missing features, policies nobody exercised, input that was not taken.
pub(crate) fn limits(run: &Run, names: &Names, style: Style) -> String {
    let mut lines: Vec<String> = lost(&run.losses).into_iter().collect();
    lines.extend(run.environment.notes.iter().map(|note| escape(note)));
    let never: Vec<String> = run
        .coverage
        .policies
        .never_exercised
        .iter()
        .map(|name| names.short(name))
        .collect();
    if !never.is_empty() {
        lines.push(format!(
            "No attempt was decided by {}: nothing is known of them.",
            never.join(", ")
        ));
    }
    lines.extend(run.problems.iter().map(problem));
    block(TO_KNOW, &lines, style)
}

/// What was lost, where anything was.
pub(super) fn lost(losses: &Losses) -> Option<String> {
    let total = losses.total();
    (total > 0).then(|| format!("{total} records were lost; verdicts they touch are inconclusive."))
}

/// A problem in one line.
pub(super) fn problem(problem: &Problem) -> String {
    let object = problem
        .object
        .iter()
        .chain(&problem.path)
        .map(|part| format!("{}: ", escape(part)));
    format!(
        "{}: {}{}",
        escape(&problem.place),
        object.collect::<String>(),
        escape_to(&problem.message, 400)
    )
}

/// Lines under a bold head; nothing where there are none.
pub(super) fn block(head: &str, lines: &[String], style: Style) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", style.bold(head));
    for line in lines {
        text.push_str(&wrapped(line, "  ", style.width));
    }
    text
}

/// The answer in one bold line.
pub(crate) fn answer(run: &Run, style: Style) -> String {
    let line = format!(
        "{}: {} — {}",
        title(&run.environment.cni),
        run.verdict,
        because(run)
    );
    format!("{}\n", style.shout(&line, run.verdict))
}

/// A CNI's name at the beginning of a sentence.
pub(super) fn title(cni: &str) -> String {
    let safe = escape_to(cni, 40);
    let mut letters = safe.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => "This cluster".to_owned(),
    }
}

/// The counts behind the verdict, in paths (a source, a destination, a port): at the last stage where that shows it,
/// else over the whole run.
fn because(run: &Run) -> String {
    let last = run.stages.last();
    let at_last = Paths::of(run, last.map(|stage| stage.name.as_str()));
    let (paths, place) = match (run.verdict, last) {
        (RunVerdict::PartiallyEnforced | RunVerdict::NotEnforced, Some(_)) if at_last.violations() == 0 => {
            (Paths::of(run, None), " over all stages; none at the last")
        }
        (RunVerdict::Inconclusive, Some(_)) if at_last.inconclusive == 0 => {
            (Paths::of(run, None), " over all stages; none at the last")
        }
        (_, Some(_)) if run.stages.len() > 1 => (at_last, " at the last stage"),
        _ => (at_last, ""),
    };
    let of = format!("of {} paths probed", paths.all);
    match run.verdict {
        RunVerdict::Enforced => format!(
            "{} denied paths stopped, {} allowed paths open, no leak{place}",
            paths.enforced, paths.permitted
        ),
        RunVerdict::Inconclusive if paths.all == 0 => "nothing was probed".to_owned(),
        RunVerdict::Inconclusive => format!("{} {of} cannot be told{place}", paths.inconclusive),
        RunVerdict::PartiallyEnforced | RunVerdict::NotEnforced => {
            let mut counts = Vec::new();
            if paths.leak > 0 {
                counts.push(counted(paths.leak, "leak"));
            }
            if paths.overblock > 0 {
                counts.push(counted(paths.overblock, "overblock"));
            }
            format!("{}{place} ({of})", counts.join(" and "))
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}

/// Paths by their worst verdict over both families.
#[derive(Default)]
struct Paths {
    all: usize,
    enforced: usize,
    permitted: usize,
    leak: usize,
    overblock: usize,
    inconclusive: usize,
}

impl Paths {
    fn of(run: &Run, stage: Option<&str>) -> Self {
        let attempts = run
            .attempts
            .iter()
            .filter(|attempt| stage.is_none_or(|name| attempt.stage == name));
        let mut worst: BTreeMap<_, (u8, Verdict)> = BTreeMap::new();
        for one in fold(attempts) {
            let verdict = (one.result.rank, one.result.verdict);
            let known = worst.entry((one.from, one.to, one.service)).or_insert(verdict);
            *known = (*known).min(verdict);
        }
        let mut paths = Self::default();
        for (_, verdict) in worst.into_values() {
            paths.all += 1;
            match verdict {
                Verdict::Enforced => paths.enforced += 1,
                Verdict::Permitted => paths.permitted += 1,
                Verdict::Leak => paths.leak += 1,
                Verdict::Overblock => paths.overblock += 1,
                Verdict::Inconclusive => paths.inconclusive += 1,
                Verdict::Unspecified => {}
            }
        }
        paths
    }

    const fn violations(&self) -> usize {
        self.leak + self.overblock
    }
}

/// Text broken at spaces, each line after an indent.
pub(crate) fn wrapped(text: &str, indent: &str, width: u16) -> String {
    let room = usize::from(width).saturating_sub(indent.len()).max(20);
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            lines.push_str(&format!("{indent}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push_str(&format!("{indent}{line}\n"));
    lines
}
