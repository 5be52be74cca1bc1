//! Makes a run from facts: verdicts, counts and findings are computed here and nowhere else.

use std::collections::BTreeMap;

use super::{
    Coverage, Environment, Intent, KIND, Losses, Problem, Run, RunVerdict, Stage, Summary, Tool, VERSION,
};
use crate::finding::{self, JudgedAttempt};

/// What a runner knows when it is done; everything else in a [`Run`] follows from it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The stages, in order.
    pub stages: Vec<StageTitle>,
    /// Every attempt.
    pub attempts: Vec<JudgedAttempt>,
    /// The owner's wishes, checked.
    pub intent: Vec<Intent>,
    /// Records that were lost.
    pub losses: Losses,
    /// What was exercised.
    pub coverage: Coverage,
    /// Where it ran.
    pub environment: Environment,
    /// What in the input could not be taken.
    pub problems: Vec<Problem>,
    /// Versions of what took part.
    pub versions: BTreeMap<String, String>,
    /// When it began.
    pub started: jiff::Timestamp,
    /// When it ended.
    pub finished: jiff::Timestamp,
}

/// A stage before its attempts are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageTitle {
    /// Its name, as attempts carry it.
    pub name: String,
    /// One line for people.
    pub title: Option<String>,
}

impl Run {
    /// Counts, judges and gathers.
    #[must_use]
    pub fn new(facts: Facts) -> Self {
        let summary = Summary::of(&facts.attempts);
        let stages = facts
            .stages
            .into_iter()
            .map(|stage| {
                let summary = Summary::of(
                    facts
                        .attempts
                        .iter()
                        .filter(|attempt| attempt.stage == stage.name),
                );
                Stage {
                    name: stage.name,
                    title: stage.title,
                    verdict: summary.verdict(),
                    summary,
                }
            })
            .collect::<Vec<_>>();
        let span = facts.finished.duration_since(facts.started);
        Self {
            api_version: VERSION.to_owned(),
            kind: KIND.to_owned(),
            verdict: over(summary, &stages),
            summary,
            stages,
            findings: finding::collect(&facts.attempts),
            attempts: facts.attempts,
            intent: facts.intent,
            losses: facts.losses,
            coverage: facts.coverage,
            environment: facts.environment,
            problems: facts.problems,
            versions: facts.versions,
            tool: Tool::default(),
            started: facts.started,
            finished: facts.finished,
            // A clock that was set back during the run makes the span negative.
            duration_micros: u64::try_from(span.as_micros()).unwrap_or(0),
        }
    }

    /// The process's exit code: 0, 1 for a violation, 3 for do not know.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        self.verdict.exit_code()
    }
}

/// The sum decides, and a stage in which nothing could be told keeps a run from passing.
fn over(summary: Summary, stages: &[Stage]) -> RunVerdict {
    match summary.verdict() {
        RunVerdict::Enforced
            if stages
                .iter()
                .any(|stage| stage.verdict == RunVerdict::Inconclusive) =>
        {
            RunVerdict::Inconclusive
        }
        verdict => verdict,
    }
}
