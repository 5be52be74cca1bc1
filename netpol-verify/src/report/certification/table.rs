//! The certification for people: features, failing cases, what the CNI is like, and the answer in one line.

use std::collections::BTreeMap;

use comfy_table::Cell as TableCell;

use super::{CaseCounts, CaseResult, CaseVerdict, Certification, Feature, feature_cell::feature_cell, words};
use crate::{
    net::Protocol,
    report::{
        RunVerdict, Style,
        closing::{self, block, title, wrapped},
        escape,
        escape::escape_to,
        ink::Shade,
    },
};

/// How many failing cases are described before the rest is only named.
const CASES: usize = 10;
/// How many lines of a reproduction are printed.
const MANIFEST_LINES: usize = 80;

/// Renders a certification for a reader who has read nothing else. Every string from outside is escaped.
#[must_use]
pub fn certification_table(run: &Certification, style: Style) -> String {
    let parts = [
        header(run, style),
        features(run, style),
        failures(run, style),
        likeness(run, style),
        limits(run, style),
        suites(run),
        answer(run, style),
    ];
    let shown: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    shown.join("\n")
}

fn header(run: &Certification, style: Style) -> String {
    let environment = &run.environment;
    let mut text = format!(
        "{}\n",
        style.bold("What does this CNI enforce? Feature by feature, from packets.")
    );
    let place = format!(
        "Cluster: nodes {}; CNI {}, wiring {}, enforcer {}, kernel {}.",
        escape(&environment.nodes.join(", ")),
        escape(&environment.cni),
        escape(&environment.wiring),
        escape(&environment.enforcer),
        escape(&environment.kernel)
    );
    text.push_str(&wrapped(&place, "", style.width));
    if let Some(fault) = &environment.fault {
        let line = format!("Fault put in on purpose: {}.", escape(fault));
        text.push_str(&wrapped(&line, "", style.width));
    }
    let legend = "A feature's cells count what the policies deny (LEAK: was delivered all the same) and what they allow \
                  (OVERBLOCK: was stopped) in the cases that exercise it; where not all of a protocol is affected, in \
                  brackets which part is. A dash: not exercised.";
    text.push_str(&wrapped(legend, "", style.width));
    text
}

fn features(run: &Certification, style: Style) -> String {
    let mut text = String::new();
    let mut groups: BTreeMap<&str, Vec<&Feature>> = BTreeMap::new();
    for feature in &run.features {
        groups.entry(&feature.group).or_default().push(feature);
    }
    if groups.is_empty() {
        return text;
    }
    let mut table = style.dense_grid();
    table.set_header(["feature", "cases", "TCP", "UDP", "SCTP"]);
    for (group, features) in groups {
        let head = style.shaded(escape(group).to_string(), Shade::Faint);
        table.add_row(vec![head]);
        for feature in features {
            let mut row = vec![
                TableCell::new(format!("  {}", escape(&feature.name))),
                cases(feature, style),
            ];
            for protocol in Protocol::ALL {
                row.push(feature_cell(feature, protocol, style));
            }
            table.add_row(row);
        }
    }
    text.push_str(&table.trim_fmt());
    text.push('\n');
    text
}

fn cases(feature: &Feature, style: Style) -> TableCell {
    let CaseCounts {
        played,
        passed,
        failed,
        inconclusive,
    } = feature.cases;
    let text = format!("{passed} of {played}");
    match (failed, inconclusive) {
        (0, 0) => style.shaded(text, Shade::Open),
        (0, _) => style.shaded(text, Shade::Unsure),
        _ => style.shaded(text, Shade::Mixed),
    }
}

/// The failing cases: each with the one attempt that proves it, the first with what it takes to see it again.
fn failures(run: &Certification, style: Style) -> String {
    let failing: Vec<&CaseResult> = run
        .cases
        .iter()
        .filter(|case| case.verdict == CaseVerdict::Failed)
        .collect();
    let Some(first) = failing.first() else {
        return String::new();
    };
    let head = match failing.len() {
        1 => "1 case fails:".to_owned(),
        count => format!("{count} cases fail:"),
    };
    let mut text = format!("{}\n", style.bold(&head));
    for case in failing.iter().take(CASES) {
        let counts = format!(
            "{} {} — {}: {}",
            escape(&case.suite),
            escape(&case.id),
            escape(&case.title),
            violations(case)
        );
        text.push_str(&wrapped(&counts, "  ", style.width));
        if let Some(proof) = &case.proof {
            let moment = proof.moment.map(|moment| format!(", {}", moment.words()));
            let line = format!(
                "step {}{}: {}",
                proof.step,
                moment.unwrap_or_default(),
                escape_to(&words(&proof.attempt), 400)
            );
            text.push_str(&wrapped(&line, "      ", style.width));
        }
    }
    let rest: Vec<String> = failing
        .iter()
        .skip(CASES)
        .map(|case| escape(&case.id).to_string())
        .collect();
    if !rest.is_empty() {
        let line = format!("and {} more: {}", rest.len(), rest.join(" "));
        text.push_str(&wrapped(&line, "  ", style.width));
    }
    if let Some(proof) = &first.proof {
        let line = format!(
            "To see {} again, the pods and policies it takes (-o json has those of every case):",
            escape(&first.id)
        );
        text.push_str(&wrapped(&line, "  ", style.width));
        for line in proof.manifest.lines().take(MANIFEST_LINES) {
            text.push_str(&format!("    {}\n", style.dim(&escape_to(line, 160))));
        }
    }
    text
}

fn violations(case: &CaseResult) -> String {
    let counts = [
        (
            case.summary.leak,
            case.summary.leak + case.summary.enforced,
            "denied attempts delivered",
        ),
        (
            case.summary.overblock,
            case.summary.overblock + case.summary.permitted,
            "allowed attempts stopped",
        ),
    ];
    let words: Vec<String> = counts
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, of, what)| format!("{count} of {of} {what}"))
        .collect();
    words.join(", ")
}

/// What the CNI is like: manners that are no faults, and how fast it is.
fn likeness(run: &Certification, style: Style) -> String {
    let mut lines: Vec<String> = run
        .fingerprint
        .iter()
        .map(|one| escape_to(&one.words(), 600).to_string())
        .collect();
    let settling = &run.settling;
    for (edge, times) in [
        ("closed", settling.allow_to_deny),
        ("opened", settling.deny_to_allow),
    ] {
        if let Some(times) = times {
            lines.push(format!(
                "what must be {edge} after a change was: {}",
                times.words()
            ));
        }
    }
    if settling.unsettled > 0 {
        lines.push(format!(
            "changes after which some path was not as it must be when the settle budget was spent: {}",
            settling.unsettled
        ));
    }
    for (what, seen) in [
        ("pods that start", run.moments.start_up),
        ("restarts of the enforcer", run.moments.restart),
        ("changes elsewhere", run.moments.change),
    ] {
        if let Some(words) = seen.words() {
            lines.push(format!("{what}: {words}"));
        }
    }
    block("What it is like (no fault in itself):", &lines, style)
}

/// What limits the answer.
fn limits(run: &Certification, style: Style) -> String {
    let mut lines = Vec::new();
    let unsure: Vec<&CaseResult> = run
        .cases
        .iter()
        .filter(|case| case.verdict == CaseVerdict::Inconclusive)
        .collect();
    for case in unsure.iter().take(CASES) {
        let why = match case.remarks.first().or(case.doubt.as_ref()) {
            Some(remark) => escape_to(remark, 300).to_string(),
            None => format!("{} attempts cannot be told", case.summary.inconclusive),
        };
        lines.push(format!("{} is inconclusive: {why}", escape(&case.id)));
    }
    if unsure.len() > CASES {
        lines.push(format!("and {} more are inconclusive", unsure.len() - CASES));
    }
    let mut refused: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in &run.refused {
        refused.entry(&one.why).or_default().push(&one.id);
    }
    for (why, ids) in refused {
        lines.push(format!(
            "not played ({}): {}",
            escape_to(why, 300),
            escape(&ids.join(" "))
        ));
    }
    lines.extend(closing::lost(&run.losses));
    lines.extend(run.environment.notes.iter().map(|note| escape(note)));
    lines.extend(run.problems.iter().map(closing::problem));
    block(closing::TO_KNOW, &lines, style)
}

/// A line for each suite.
fn suites(run: &Certification) -> String {
    let mut text = String::new();
    for suite in &run.suites {
        let CaseCounts {
            played,
            passed,
            failed,
            inconclusive,
        } = suite.counts;
        let mut line = format!("{}: {passed} of {played} cases pass", escape(&suite.name));
        if failed > 0 {
            line.push_str(&format!(", {failed} fail"));
        }
        if inconclusive > 0 {
            line.push_str(&format!(", {inconclusive} cannot be told"));
        }
        let (default, over_ipv4) = (suite.by_default, suite.by_default_over_ipv4);
        if default.played > 0 && default.played < played {
            line.push_str(&format!(
                " (of the {} that its origin runs by default {} fail, and {} by IPv4 alone)",
                default.played, default.failed, over_ipv4.failed
            ));
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The answer in one bold line, with the features that it is about.
fn answer(run: &Certification, style: Style) -> String {
    let line = format!(
        "{}: {} — {}",
        title(&run.environment.cni),
        run.verdict,
        because(run)
    );
    format!("{}\n", style.shout(&line, run.verdict))
}

fn because(run: &Certification) -> String {
    let CaseCounts {
        played,
        passed,
        failed,
        inconclusive,
    } = run.counts;
    match run.verdict {
        RunVerdict::Enforced => format!(
            "{passed} of {played} cases pass, {} attempts",
            run.summary.attempts
        ),
        RunVerdict::NotEnforced => format!(
            "{} of {} denied attempts were delivered, {failed} of {played} cases fail",
            run.summary.leak,
            run.summary.leak + run.summary.enforced
        ),
        RunVerdict::PartiallyEnforced => format!("{failed} of {played} cases fail{}", blamed(run)),
        RunVerdict::Inconclusive if played == 0 => "nothing was played".to_owned(),
        RunVerdict::Inconclusive => format!(
            "{inconclusive} of {played} cases cannot be told, {} were not played",
            run.refused.len()
        ),
    }
}

/// So many features are named in the answer; the table has all.
const NAMED: usize = 6;

/// The features without a single passing case; where there are none, the one with the largest share of failures.
fn blamed(run: &Certification) -> String {
    let always: Vec<String> = run
        .features
        .iter()
        .filter(|feature| feature.always_fails())
        .map(|feature| escape(&feature.name).to_string())
        .collect();
    if !always.is_empty() {
        let more = match always.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named: Vec<String> = always.into_iter().take(NAMED).collect();
        return format!("; no case passes with {}{more}", named.join(", "));
    }
    let share = |feature: &&Feature| feature.cases.failed * 1_000 / feature.cases.played.max(1);
    let worst = run.features.iter().max_by_key(share);
    let Some(worst) = worst.filter(|worst| worst.cases.failed > 0) else {
        return String::new();
    };
    format!(
        "; most often where {} is exercised ({} of {})",
        escape(&worst.name),
        worst.cases.failed,
        worst.cases.played
    )
}
