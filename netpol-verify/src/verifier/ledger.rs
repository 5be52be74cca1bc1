//! What was judged, kept within bounds: findings with their first and last evidence, and counts of verdicts.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::finding::{Code, Expected, JudgedAttempt, Observed, Severity, Verdict};

/// A judged attempt, as a line of the live stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JudgedLine {
    /// When its first packet left.
    pub at: Timestamp,
    /// What it is a finding of, if of anything: `NPV001`.
    pub code: Option<String>,
    /// What there is to say.
    pub attempt: JudgedAttempt,
}

/// A finding that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptFinding {
    /// The stable number: `NPV001`.
    pub code: String,
    /// The stable word: `leak`.
    pub slug: String,
    /// One line for people.
    pub title: String,
    /// How much it matters.
    pub severity: Severity,
    /// The next step.
    pub what_to_do: String,
    /// The verdict on its attempts.
    pub verdict: Verdict,
    /// The policies or rules that decide.
    pub by: Vec<String>,
    /// Who opened the connections.
    pub from: String,
    /// Whom they were for.
    pub to: String,
    /// How many attempts showed it.
    pub count: u64,
    /// When the first one was.
    pub first_seen: Timestamp,
    /// When the last one was.
    pub last_seen: Timestamp,
    /// The first that showed it.
    pub first_evidence: JudgedAttempt,
    /// The last that showed it.
    pub last_evidence: JudgedAttempt,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    code: &'static str,
    by: Vec<String>,
    from: String,
    to: String,
}

#[derive(Debug)]
struct Entry {
    finding: KeptFinding,
    place: (u8, u64),
}

/// What was judged.
#[derive(Debug)]
pub struct Ledger {
    most: usize,
    findings: HashMap<Arc<Key>, Entry>,
    /// In the order in which they make room: the least serious first, of those the one that showed longest ago.
    order: BTreeMap<(u8, u64), Arc<Key>>,
    next: u64,
    /// Findings that made room.
    let_go: u64,
    verdicts: BTreeMap<(Expected, Observed, Verdict), u64>,
}

impl Ledger {
    /// A ledger of so many findings at most.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            findings: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
            let_go: 0,
            verdicts: BTreeMap::new(),
        }
    }

    /// Takes a judged attempt.
    pub fn take(&mut self, at: Timestamp, code: Option<Code>, attempt: &JudgedAttempt) {
        if code != Some(Code::SPOOF) {
            let verdict = (attempt.expected, attempt.observed, attempt.verdict);
            *self.verdicts.entry(verdict).or_default() += 1;
        }
        let Some(code) = code else { return };
        let mut by = attempt.by.clone();
        by.sort();
        let key = Key {
            code: code.id,
            by,
            from: attempt.from.clone(),
            to: attempt.to.clone(),
        };
        self.next += 1;
        let place = (rank(code.severity), self.next);
        if let Some(entry) = self.findings.get_mut(&key) {
            if let Some(key) = self.order.remove(&entry.place) {
                self.order.insert(place, key);
            }
            entry.place = place;
            entry.finding.count += 1;
            entry.finding.last_seen = entry.finding.last_seen.max(at);
            entry.finding.last_evidence = attempt.clone();
            return;
        }
        if self.findings.len() >= self.most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.findings.remove(&oldest);
            self.let_go += 1;
        }
        let key = Arc::new(key);
        let finding = KeptFinding {
            code: code.id.to_owned(),
            slug: code.slug.to_owned(),
            title: code.title.to_owned(),
            severity: code.severity,
            what_to_do: code.what_to_do.to_owned(),
            verdict: attempt.verdict,
            by: attempt.by.clone(),
            from: attempt.from.clone(),
            to: attempt.to.clone(),
            count: 1,
            first_seen: at,
            last_seen: at,
            first_evidence: attempt.clone(),
            last_evidence: attempt.clone(),
        };
        self.order.insert(place, key.clone());
        self.findings.insert(key, Entry { finding, place });
    }

    /// The findings, the most serious first, of those the latest.
    pub fn findings(&self) -> impl Iterator<Item = &KeptFinding> {
        self.order
            .values()
            .rev()
            .filter_map(|key| self.findings.get(key))
            .map(|entry| &entry.finding)
    }

    /// How many findings showed since a moment, by code.
    #[must_use]
    pub fn by_code(&self, since: Timestamp) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for entry in self
            .findings
            .values()
            .filter(|entry| entry.finding.last_seen >= since)
        {
            *counts.entry(entry.finding.code.as_str()).or_default() += 1;
        }
        counts
    }

    /// How often each verdict was given.
    #[must_use]
    pub const fn verdicts(&self) -> &BTreeMap<(Expected, Observed, Verdict), u64> {
        &self.verdicts
    }

    /// How many findings made room for others.
    #[must_use]
    pub const fn let_go(&self) -> u64 {
        self.let_go
    }
}

const fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 0,
        Severity::Warning => 1,
        Severity::High => 2,
        Severity::Critical => 3,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::Ledger;
    use crate::finding::{Code, JudgedAttempt, Verdict};

    fn attempt(to: &str, verdict: Verdict) -> JudgedAttempt {
        JudgedAttempt {
            stage: "passive".to_owned(),
            ..JudgedAttempt::example("n/a", to, verdict)
        }
    }

    fn take(ledger: &mut Ledger, second: i64, to: &str, verdict: Verdict) {
        let attempt = attempt(to, verdict);
        ledger.take(
            Timestamp::from_second(second).unwrap(),
            Code::of(&attempt),
            &attempt,
        );
    }

    #[test]
    fn repeats_are_one_finding_with_its_first_and_its_last() {
        let mut ledger = Ledger::new(10);
        for second in [3, 4, 9] {
            take(&mut ledger, second, "n/b", Verdict::Leak);
        }
        let found: Vec<_> = ledger.findings().collect();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (
                found[0].count,
                found[0].first_seen.as_second(),
                found[0].last_seen.as_second()
            ),
            (3, 3, 9)
        );
        assert_eq!(ledger.verdicts().values().sum::<u64>(), 3);
    }

    #[test]
    fn a_flood_of_little_things_does_not_push_a_leak_out() {
        let mut ledger = Ledger::new(3);
        take(&mut ledger, 1, "n/b", Verdict::Leak);
        for number in 0..50 {
            take(
                &mut ledger,
                2 + number,
                &format!("198.51.100.{number}"),
                Verdict::Inconclusive,
            );
        }
        let kept: Vec<&str> = ledger.findings().map(|finding| finding.to.as_str()).collect();
        assert_eq!(kept, ["n/b", "198.51.100.49", "198.51.100.48"]);
        assert_eq!(ledger.let_go(), 48);
        let since = Timestamp::from_second(2).unwrap();
        assert_eq!(
            ledger.by_code(since).into_iter().collect::<Vec<_>>(),
            [("NPV007", 2)]
        );
    }

    #[test]
    fn a_spoofed_source_is_a_finding_and_no_verdict() {
        let mut ledger = Ledger::new(3);
        let attempt = attempt("10.0.0.1", Verdict::Unspecified);
        ledger.take(Timestamp::UNIX_EPOCH, Some(Code::SPOOF), &attempt);
        assert_eq!(ledger.findings().next().unwrap().code, "NPV008");
        assert!(ledger.verdicts().is_empty());
    }
}
