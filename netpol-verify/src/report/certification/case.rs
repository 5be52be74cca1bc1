//! One case: its attempts counted by protocol, family and path, and the one that proves a failure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, MomentKind, Trait, settling::Settled};
use crate::{
    finding::{Expected, JudgedAttempt, Observed, Path, Verdict},
    net::{Family, Protocol},
    report::{RunVerdict, Summary},
};

/// What follows for a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum CaseVerdict {
    /// Every attempt did what the policies require.
    Passed,
    /// Something was let through or stopped against the policies.
    Failed,
    /// No violation was seen, and something could not be told.
    Inconclusive,
}

/// Attempts of one protocol, family and kind of path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cell {
    /// The protocol.
    pub protocol: Protocol,
    /// The address family.
    pub family: Family,
    /// Whether the nodes differ.
    pub path: Path,
    /// What they gave.
    pub summary: Summary,
}

/// The first attempt that shows a failure, and what it takes to see it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// At which step of the case, from 1.
    pub step: usize,
    /// What happened at that moment, where the attempt was wrong only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moment: Option<MomentKind>,
    /// The attempt.
    pub attempt: JudgedAttempt,
    /// The two pods and the policies that select one of them, as YAML for `kubectl apply -f -`.
    pub manifest: String,
}

/// One case of a suite, played to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaseResult {
    /// The suite it belongs to.
    pub suite: String,
    /// Its stable name: `CY-013`.
    pub id: String,
    /// What it claims.
    pub title: String,
    /// Whether the suite's origin runs it when not told otherwise.
    pub default: bool,
    /// What it exercises: words by group.
    pub features: BTreeMap<String, Vec<String>>,
    /// What follows.
    pub verdict: CaseVerdict,
    /// All its attempts.
    pub summary: Summary,
    /// The same, apart.
    pub cells: Vec<Cell>,
    /// What shows its failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// The first attempt of which nothing can be told, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// What was done where the API leaves it open, and how denied traffic was stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traits: Vec<Trait>,
    /// How long its changes took to be enforced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<Settled>,
    /// What was seen while pods started, enforcers restarted and others changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moments: Vec<Moment>,
    /// What in it could not be done or told, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

impl CaseVerdict {
    const fn of(summary: Summary) -> Self {
        match summary.verdict() {
            RunVerdict::Enforced => Self::Passed,
            RunVerdict::PartiallyEnforced | RunVerdict::NotEnforced => Self::Failed,
            RunVerdict::Inconclusive => Self::Inconclusive,
        }
    }
}

impl CaseResult {
    /// A case before its first attempt.
    #[must_use]
    pub fn new(suite: &str, id: &str, title: &str, default: bool) -> Self {
        Self {
            suite: suite.to_owned(),
            id: id.to_owned(),
            title: title.to_owned(),
            default,
            features: BTreeMap::new(),
            verdict: CaseVerdict::Inconclusive,
            summary: Summary::default(),
            cells: Vec::new(),
            proof: None,
            doubt: None,
            traits: Vec::new(),
            settled: Vec::new(),
            moments: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Takes an attempt in.
    pub fn count(&mut self, attempt: &JudgedAttempt) {
        let one = Summary::of([attempt]);
        let at = (attempt.protocol, attempt.family, attempt.path);
        match self.cells.iter_mut().find(|cell| cell.at() == at) {
            Some(cell) => cell.summary += one,
            None => self.cells.push(Cell {
                protocol: attempt.protocol,
                family: attempt.family,
                path: attempt.path,
                summary: one,
            }),
        }
        self.summary += one;
        if let Some(told) = Trait::of(attempt) {
            Trait::add(&mut self.traits, &told);
        }
        self.verdict = CaseVerdict::of(self.summary);
    }

    /// What follows from the attempts of one family alone.
    #[must_use]
    pub fn verdict_over(&self, family: Family) -> CaseVerdict {
        let cells = self.cells.iter().filter(|cell| cell.family == family);
        CaseVerdict::of(cells.map(|cell| cell.summary).sum())
    }
}

impl Cell {
    /// Which attempts it counts.
    #[must_use]
    pub const fn at(&self) -> (Protocol, Family, Path) {
        (self.protocol, self.family, self.path)
    }

    /// Adds cells up by protocol, family and path.
    #[must_use]
    pub fn sum<'a>(cells: impl IntoIterator<Item = &'a Self>) -> Vec<Self> {
        let mut sums: BTreeMap<_, Summary> = BTreeMap::new();
        for cell in cells {
            *sums.entry(cell.at()).or_default() += cell.summary;
        }
        let made = sums.into_iter().map(|((protocol, family, path), summary)| Self {
            protocol,
            family,
            path,
            summary,
        });
        made.collect()
    }
}

/// `x/a → y/b TCP/80 over IPv4 (cross node): must be stopped, was delivered`.
#[must_use]
pub fn words(one: &JudgedAttempt) -> String {
    let must = match one.expected {
        Expected::Allow => "must be let through",
        Expected::Deny => "must be stopped",
        Expected::Unspecified => "may do either",
    };
    let was = match (one.verdict, one.observed) {
        (Verdict::Leak, Observed::Delivered) if one.only_retransmission => {
            "was delivered at its retransmission"
        }
        (_, Observed::Delivered) => "was delivered",
        (_, Observed::ReplyLost) => "was delivered, and its answer lost",
        (_, Observed::Rejected) => "was rejected",
        (_, Observed::Dropped) => "was dropped",
        (_, Observed::Unanswered) => "was seen to leave and never again",
        (_, Observed::Unknown) => "cannot be told",
    };
    let reason = one.reason.as_ref().map(|reason| format!(" ({reason})"));
    format!(
        "{} → {} {}/{} over {} ({}): {must}, {was}{}",
        one.from,
        one.to,
        one.protocol,
        one.port,
        one.family,
        one.path,
        reason.unwrap_or_default()
    )
}
