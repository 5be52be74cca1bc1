//! The `Certification` document: the cases, and what follows from them by suite and by feature. Its schema is committed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CaseResult, CaseVerdict, Feature, Moments, Settling, Trait};
use crate::{
    net::Family,
    report::{Environment, Losses, Problem, RunVerdict, Summary, Tool, VERSION},
};

/// The kind of this document.
pub const CERTIFICATION: &str = "Certification";

/// Suites played on a CNI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certification {
    /// The version of the format.
    #[schemars(extend("const" = VERSION))]
    pub api_version: String,
    /// [`CERTIFICATION`].
    #[schemars(extend("const" = CERTIFICATION))]
    pub kind: String,
    /// What follows for the CNI.
    pub verdict: RunVerdict,
    /// All attempts, counted.
    pub summary: Summary,
    /// All cases, counted.
    pub counts: CaseCounts,
    /// The suites, in the order they were played.
    pub suites: Vec<SuiteResult>,
    /// The features, by group and name.
    pub features: Vec<Feature>,
    /// Every case that was played, in order.
    pub cases: Vec<CaseResult>,
    /// Cases that could not be played, and why.
    pub refused: Vec<Refused>,
    /// What the CNI does where the API leaves it open.
    pub fingerprint: Vec<Trait>,
    /// How long changes took to be enforced.
    pub settling: Settling,
    /// What packets did while pods started, enforcers restarted and others changed.
    pub moments: Moments,
    /// Records that were lost.
    pub losses: Losses,
    /// Where it ran.
    pub environment: Environment,
    /// What in the input could not be taken.
    pub problems: Vec<Problem>,
    /// Versions of what took part.
    pub versions: BTreeMap<String, String>,
    /// Who wrote this.
    pub tool: Tool,
    /// When it began, RFC 3339.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started: jiff::Timestamp,
    /// When it ended, RFC 3339.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub finished: jiff::Timestamp,
    /// How long it took, in microseconds.
    pub duration_micros: u64,
}

/// Cases, counted by what follows for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaseCounts {
    /// All that were played.
    pub played: u64,
    /// As they must be.
    pub passed: u64,
    /// With a violation.
    pub failed: u64,
    /// That cannot be told.
    pub inconclusive: u64,
}

/// A suite's cases, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SuiteResult {
    /// Its name.
    pub name: String,
    /// What it is.
    pub title: String,
    /// All its cases that were played.
    pub counts: CaseCounts,
    /// Those of them that its origin runs when not told otherwise.
    pub by_default: CaseCounts,
    /// The same by their attempts over IPv4 alone, as testers of one family count.
    pub by_default_over_ipv4: CaseCounts,
}

/// A case that could not be played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refused {
    /// The suite.
    pub suite: String,
    /// The case.
    pub id: String,
    /// Why not.
    pub why: String,
}

/// What a runner knows when it is done; everything else follows.
#[derive(Clone, Debug)]
pub struct CertificationFacts {
    /// The suites: name and title.
    pub suites: Vec<(String, String)>,
    /// Every case that was played.
    pub cases: Vec<CaseResult>,
    /// Those that could not be.
    pub refused: Vec<Refused>,
    /// What was asked on purpose where the API leaves it open.
    pub open: Vec<Trait>,
    /// Records that were lost.
    pub losses: Losses,
    /// Where it ran.
    pub environment: Environment,
    /// What in the input could not be taken.
    pub problems: Vec<Problem>,
    /// When it began.
    pub started: jiff::Timestamp,
    /// When it ended.
    pub finished: jiff::Timestamp,
}

impl Certification {
    /// Counts, judges and gathers.
    #[must_use]
    pub fn new(facts: CertificationFacts) -> Self {
        let CertificationFacts { cases, refused, .. } = facts;
        let summary: Summary = cases.iter().map(|case| case.summary).sum();
        let counts = CaseCounts::of(&cases);
        let suites = facts.suites.into_iter().map(|(name, title)| {
            let of_suite = || cases.iter().filter(|case| case.suite == name);
            SuiteResult {
                counts: CaseCounts::of(of_suite()),
                by_default: CaseCounts::of(of_suite().filter(|case| case.default)),
                by_default_over_ipv4: CaseCounts::count(
                    of_suite()
                        .filter(|case| case.default)
                        .map(|case| case.verdict_over(Family::Ipv4)),
                ),
                name: name.clone(),
                title,
            }
        });
        let suites = suites.collect();
        let mut fingerprint = Vec::new();
        for told in cases.iter().flat_map(|case| &case.traits).chain(&facts.open) {
            Trait::add(&mut fingerprint, told);
        }
        let span = facts.finished.duration_since(facts.started);
        Self {
            api_version: VERSION.to_owned(),
            kind: CERTIFICATION.to_owned(),
            verdict: verdict(summary, counts, &refused),
            summary,
            counts,
            suites,
            features: Feature::all(&cases),
            settling: Settling::of(cases.iter().flat_map(|case| &case.settled)),
            moments: Moments::of(cases.iter().flat_map(|case| &case.moments)),
            cases,
            refused,
            fingerprint,
            losses: facts.losses,
            environment: facts.environment,
            problems: facts.problems,
            versions: BTreeMap::new(),
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

/// The sum decides; a case that could not be told or played keeps a run from passing.
fn verdict(summary: Summary, counts: CaseCounts, refused: &[Refused]) -> RunVerdict {
    match summary.verdict() {
        RunVerdict::Enforced if counts.inconclusive > 0 || !refused.is_empty() => RunVerdict::Inconclusive,
        verdict => verdict,
    }
}

impl CaseCounts {
    /// Counts cases.
    #[must_use]
    pub fn of<'a>(cases: impl IntoIterator<Item = &'a CaseResult>) -> Self {
        Self::count(cases.into_iter().map(|case| case.verdict))
    }

    fn count(verdicts: impl Iterator<Item = CaseVerdict>) -> Self {
        let mut counts = Self::default();
        for verdict in verdicts {
            counts.played += 1;
            match verdict {
                CaseVerdict::Passed => counts.passed += 1,
                CaseVerdict::Failed => counts.failed += 1,
                CaseVerdict::Inconclusive => counts.inconclusive += 1,
            }
        }
        counts
    }
}
