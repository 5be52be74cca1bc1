//! What the fuzzer found: the counts of a hunt, and of each violation the least that shows it.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use super::{document::VERSION, document_text, escape::escape};
use crate::finding::{JudgedAttempt, Verdict};

/// A hunt and what it gave.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fuzzed {
    /// What the clusters followed from.
    pub seed: u64,
    /// How many clusters were played.
    pub clusters: u64,
    /// How many could not be.
    pub not_played: u64,
    /// How many attempts were judged, by their verdicts.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// The least that shows a violation, for some of each kind.
    pub reproductions: Vec<Reproduction>,
}

/// The least that shows a violation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reproduction {
    /// In which cluster of the seed it was found, from 0.
    pub cluster: u64,
    /// The attempt that proves it.
    pub attempt: JudgedAttempt,
    /// How many policies are left.
    pub policies: usize,
    /// How many pods are left.
    pub pods: usize,
    /// How many policies it was found among.
    pub of_policies: usize,
    /// How many pods it was found among.
    pub of_pods: usize,
    /// How many smaller clusters were played on the way.
    pub candidates: u64,
    /// How long that took, in microseconds.
    pub micros: u64,
    /// Namespaces, pods and policies as YAML documents.
    pub manifest: String,
}

impl Fuzzed {
    /// A hunt that has not begun.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            clusters: 0,
            not_played: 0,
            verdicts: BTreeMap::new(),
            reproductions: Vec::new(),
        }
    }

    /// Counts the attempts of one cluster.
    pub fn count(&mut self, attempts: &[JudgedAttempt]) {
        self.clusters += 1;
        for attempt in attempts {
            *self.verdicts.entry(attempt.verdict).or_default() += 1;
        }
    }

    /// How many attempts had a verdict.
    #[must_use]
    pub fn having(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(&verdict).copied().unwrap_or(0)
    }

    /// How many attempts broke the policies.
    #[must_use]
    pub fn violations(&self) -> u64 {
        let violations = Verdict::ALL.into_iter().filter(|verdict| verdict.is_violation());
        violations.map(|verdict| self.having(verdict)).sum()
    }

    /// Whether a hunt proves anything: something was denied and stopped, or something was wrong.
    #[must_use]
    pub fn is_conclusive(&self) -> bool {
        self.violations() > 0
            || (self.having(Verdict::Enforced) > 0 && self.having(Verdict::Inconclusive) == 0)
    }

    /// Whether the same least cluster was found before.
    #[must_use]
    pub fn knows(&self, reproduction: &Reproduction) -> bool {
        self.reproductions.iter().any(|known| {
            known.manifest == reproduction.manifest && known.attempt.verdict == reproduction.attempt.verdict
        })
    }

    /// The hunt as JSON.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            api_version: &'static str,
            kind: &'static str,
            violations: u64,
            #[serde(flatten)]
            fuzzed: &'a Fuzzed,
        }
        document_text(&Document {
            api_version: VERSION,
            kind: "Fuzz",
            violations: self.violations(),
            fuzzed: self,
        })
    }

    /// The hunt for people: counts, then each reproduction as a manifest with its proof in comments.
    #[must_use]
    pub fn text(&self) -> String {
        let counts: Vec<String> = Verdict::ALL
            .into_iter()
            .map(|verdict| format!("{} {verdict}", self.having(verdict)))
            .collect();
        let mut text = format!(
            "{} clusters of seed {}: {}\n",
            self.clusters,
            self.seed,
            counts.join(", ")
        );
        if self.not_played > 0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} clusters could not be played", self.not_played);
        }
        for reproduction in &self.reproductions {
            text.push('\n');
            reproduction.write(self.seed, &mut text);
        }
        text
    }
}

impl Reproduction {
    fn write(&self, seed: u64, text: &mut String) {
        let JudgedAttempt {
            from,
            to,
            protocol,
            port,
            family,
            path,
            expected,
            observed,
            verdict,
            ..
        } = &self.attempt;
        let mut lines = vec![
            format!("{verdict}: {from} to {to}, {port}/{protocol} over {family}, {path}"),
            format!("expected: {expected}, by {}", self.attempt.by.join(", ")),
            match &self.attempt.reason {
                Some(reason) => format!("observed: {observed} ({reason})"),
                None => format!("observed: {observed}"),
            },
        ];
        if self.attempt.only_retransmission {
            lines.push("the first packet was stopped and its retransmission was not".to_owned());
        }
        lines.push(format!(
            "{} of {} policies and {} of {} pods are left, after {} smaller clusters; cluster {} of seed {seed}",
            self.policies, self.of_policies, self.pods, self.of_pods, self.candidates, self.cluster
        ));
        for line in lines {
            let _ = writeln!(text, "# {}", escape(&line));
        }
        text.push_str(&self.manifest);
    }
}
