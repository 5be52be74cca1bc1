//! What a CNI does where the API leaves it open, and in which manner it stops what it must: traits, not faults.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Expected, JudgedAttempt, Observed, Verdict};

/// One question that the API leaves to implementations, and how often packets answered it in which way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trait {
    /// What is open, in the words of the rule that leaves it so; or `denied traffic`.
    pub question: String,
    /// How often packets did what: `dropped`, `rejected`, `delivered`, `unanswered`, `reply lost`; what was asked on purpose
    /// answers in words of its own, each with its evidence.
    pub answers: BTreeMap<String, u64>,
    /// Why some of it was not asked or cannot be told, and how often.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub untold: BTreeMap<String, u64>,
}

/// How denied traffic is stopped is asked of every CNI.
const DENIED: &str = "denied traffic is";

impl Trait {
    /// What an attempt tells; nothing where it is just as it must be, or cannot be told.
    #[must_use]
    pub(super) fn of(attempt: &JudgedAttempt) -> Option<Self> {
        if attempt.observed == Observed::Unknown {
            return None;
        }
        let question = match (attempt.expected, attempt.verdict) {
            (Expected::Unspecified, _) => attempt.by.join("; "),
            (Expected::Deny, Verdict::Enforced) => DENIED.to_owned(),
            _ => return None,
        };
        let answer = match (attempt.observed, &attempt.reason) {
            (Observed::Dropped, Some(reason)) if attempt.expected == Expected::Deny => {
                format!("dropped: {reason}")
            }
            (observed, _) => observed.to_string(),
        };
        Some(Self {
            question,
            answers: [(answer, 1)].into(),
            untold: BTreeMap::new(),
        })
    }

    /// Adds a trait to others.
    pub(super) fn add(all: &mut Vec<Self>, one: &Self) {
        match all.iter_mut().find(|known| known.question == one.question) {
            Some(known) => {
                sum(&mut known.answers, &one.answers);
                sum(&mut known.untold, &one.untold);
            }
            None => all.push(one.clone()),
        }
    }

    /// `denied traffic is dropped: NETFILTER_DROP … (120)`.
    #[must_use]
    pub fn words(&self) -> String {
        let all = [counted(&self.answers), counted(&self.untold)]
            .concat()
            .join(", ");
        match self.question.as_str() {
            DENIED => format!("{DENIED} {all}"),
            question => format!("{question}: {all}"),
        }
    }
}

fn sum(known: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>) {
    for (text, count) in more {
        let sum = known.entry(text.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
}

/// Each with its count, the most frequent first.
fn counted(texts: &BTreeMap<String, u64>) -> Vec<String> {
    let mut texts: Vec<_> = texts.iter().collect();
    texts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let words = texts.into_iter().map(|(text, count)| format!("{text} ({count})"));
    words.collect()
}
