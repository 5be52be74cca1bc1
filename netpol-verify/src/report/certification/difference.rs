//! What changed between two certifications: of two CNIs, or of two versions of one.

use std::collections::BTreeMap;

use super::{CaseResult, CaseVerdict, Certification, Trait};
use crate::report::{Style, closing::wrapped, escape};

/// What a newer certification says otherwise than an older one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Cases of both that came out otherwise: before and now.
    pub cases: Vec<(String, CaseVerdict, CaseVerdict)>,
    /// Cases that fail in both, with other counts of leaks and overblocks.
    pub still: Vec<String>,
    /// Cases that only one of the two has played.
    pub only_before: Vec<String>,
    /// Likewise.
    pub only_now: Vec<String>,
    /// Where the API leaves it open: the question, what was done before, and what is done now.
    pub traits: Vec<(String, String, String)>,
}

impl Difference {
    /// What `now` says otherwise than `before`.
    #[must_use]
    pub fn between(before: &Certification, now: &Certification) -> Self {
        let (old, new) = (by_id(before), by_id(now));
        let mut difference = Self::default();
        for (id, case) in &new {
            match old.get(id) {
                None => difference.only_now.push(id.clone()),
                Some(known) if known.verdict != case.verdict => {
                    difference.cases.push((id.clone(), known.verdict, case.verdict));
                }
                Some(known) if violations(known) != violations(case) => difference.still.push(id.clone()),
                Some(_) => {}
            }
        }
        difference.only_before = old.keys().filter(|id| !new.contains_key(*id)).cloned().collect();
        for one in &now.fingerprint {
            let known = before
                .fingerprint
                .iter()
                .find(|known| known.question == one.question);
            if let Some(known) = known
                && manner(known) != manner(one)
            {
                difference
                    .traits
                    .push((one.question.clone(), manner(known), manner(one)));
            }
        }
        difference
    }

    /// Whether the two say the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn by_id(run: &Certification) -> BTreeMap<String, &CaseResult> {
    run.cases.iter().map(|case| (name(case), case)).collect()
}

fn name(case: &CaseResult) -> String {
    format!("{} {}", case.suite, case.id)
}

const fn violations(case: &CaseResult) -> (u64, u64) {
    (case.summary.leak, case.summary.overblock)
}

/// The kinds of answers, without their numbers, which differ from run to run; where there is none, why not.
fn manner(one: &Trait) -> String {
    let told = if one.answers.is_empty() {
        &one.untold
    } else {
        &one.answers
    };
    let answers: Vec<&str> = told.keys().map(String::as_str).collect();
    answers.join(", ")
}

/// The difference for people.
#[must_use]
pub fn difference_table(before: &Certification, now: &Certification, style: Style) -> String {
    let difference = Difference::between(before, now);
    let of = |run: &Certification| {
        let versions: Vec<&str> = run.versions.values().map(String::as_str).collect();
        let cni = escape(&run.environment.cni).to_string();
        match versions.is_empty() {
            true => format!("{cni} ({})", run.started),
            false => format!("{cni} {} ({})", escape(&versions.join(" ")), run.started),
        }
    };
    let head = format!("From {} to {}:", of(before), of(now));
    let mut text = format!("{}\n", style.bold(&head));
    if difference.is_empty() {
        text.push_str("  Nothing changed: every case came out as before.\n");
        return text;
    }
    let mut groups: BTreeMap<(CaseVerdict, CaseVerdict), Vec<&str>> = BTreeMap::new();
    for (id, was, is) in &difference.cases {
        groups.entry((*was, *is)).or_default().push(id);
    }
    for ((was, is), ids) in groups {
        let line = format!("{} → {}: {}", word(was), word(is), escape(&ids.join(", ")));
        let block = wrapped(&line, "  ", style.width);
        text.push_str(&match is {
            CaseVerdict::Passed => style.green(&block),
            CaseVerdict::Failed => style.red(&block),
            CaseVerdict::Inconclusive => style.yellow(&block),
        });
    }
    let lists = [
        ("fail as before, at other attempts", &difference.still),
        ("no longer played", &difference.only_before),
        ("played for the first time", &difference.only_now),
    ];
    for (what, ids) in lists {
        if !ids.is_empty() {
            let line = format!("{what} ({}): {}", ids.len(), escape(&ids.join(", ")));
            text.push_str(&wrapped(&line, "  ", style.width));
        }
    }
    for (question, was, is) in &difference.traits {
        let line = format!("{}: {} → {}", escape(question), escape(was), escape(is));
        text.push_str(&wrapped(&line, "  ", style.width));
    }
    text
}

const fn word(verdict: CaseVerdict) -> &'static str {
    match verdict {
        CaseVerdict::Passed => "passed",
        CaseVerdict::Failed => "failed",
        CaseVerdict::Inconclusive => "inconclusive",
    }
}
