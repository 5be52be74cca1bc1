//! What a reader wants to see: namespaces, verdicts, since when.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::finding::{JudgedAttempt, Verdict};

/// What a reader asked for, as words.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    namespace: Option<String>,
    verdict: Option<String>,
    verdicts: Option<String>,
    since: Option<String>,
    watch: Option<String>,
}

/// What a reader wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// One end must be in it.
    pub namespace: Option<String>,
    /// These verdicts; empty for all that is a finding.
    pub verdicts: BTreeSet<Verdict>,
    /// Also what is no finding.
    pub all: bool,
    /// Nothing that showed last before.
    pub since: Option<Timestamp>,
    /// As it happens.
    pub watch: bool,
}

/// A word of a query makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseQueryError {
    /// It is no verdict.
    #[error(
        "{0:?} is no verdict; expected enforced, permitted, leak, overblock, unspecified or inconclusive"
    )]
    Verdict(String),
    /// It is no moment.
    #[error("{0:?} is no moment; expected an RFC 3339 time, or how long ago as 30s, 10m or 2h")]
    Since(String),
    /// It is neither yes nor no.
    #[error("{0:?} is neither 1 nor 0")]
    Watch(String),
}

/// The verdicts of a list of words, parted by commas.
///
/// # Errors
/// One is no verdict.
pub(crate) fn verdicts(text: &str) -> Result<BTreeSet<Verdict>, ParseQueryError> {
    text.split(',')
        .filter(|word| !word.is_empty())
        .map(|word| {
            Verdict::ALL
                .into_iter()
                .find(|verdict| verdict.to_string().eq_ignore_ascii_case(word))
                .ok_or_else(|| ParseQueryError::Verdict(word.to_owned()))
        })
        .collect()
}

fn since(text: &str, now: Timestamp) -> Result<Timestamp, ParseQueryError> {
    let wrong = || ParseQueryError::Since(text.to_owned());
    if let Ok(moment) = Timestamp::from_str(text) {
        return Ok(moment);
    }
    let (number, unit) = text
        .char_indices()
        .next_back()
        .map(|(at, unit)| (text.get(..at).unwrap_or_default(), unit))
        .ok_or_else(wrong)?;
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return Err(wrong()),
    };
    let span = Duration::from_secs(u64::from(number) * factor);
    let span = SignedDuration::try_from(span).map_err(|_| wrong())?;
    now.checked_sub(span).map_err(|_| wrong())
}

impl Query {
    pub(super) fn read(words: Words, now: Timestamp) -> Result<Self, ParseQueryError> {
        let watch = match words.watch.as_deref() {
            None | Some("0" | "false") => false,
            Some("1" | "true" | "") => true,
            Some(other) => return Err(ParseQueryError::Watch(other.to_owned())),
        };
        // One word for both: `verdict=leak,overblock` narrows, `verdicts=all` widens to what is no finding.
        let mut list = Vec::new();
        let mut all = false;
        for text in [words.verdict, words.verdicts].into_iter().flatten() {
            if text == "all" {
                all = true;
            } else {
                list.push(text);
            }
        }
        let verdicts = verdicts(&list.join(","))?;
        Ok(Self {
            namespace: words.namespace.filter(|name| !name.is_empty()),
            all: all || !verdicts.is_empty(),
            verdicts,
            since: words.since.map(|text| since(&text, now)).transpose()?,
            watch,
        })
    }

    /// Whether an attempt is among what is asked for.
    #[must_use]
    pub fn wants(&self, attempt: &JudgedAttempt, is_finding: bool) -> bool {
        let is_there = |end: &str| {
            self.namespace.as_deref().is_none_or(|wanted| {
                end.split_once('/')
                    .is_some_and(|(namespace, _)| namespace == wanted)
            })
        };
        (is_there(&attempt.from) || is_there(&attempt.to))
            && (self.verdicts.is_empty() || self.verdicts.contains(&attempt.verdict))
            && (self.all || is_finding)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{ParseQueryError, Query, Words};
    use crate::finding::Verdict;

    fn read(words: &[(&str, &str)]) -> Result<Query, ParseQueryError> {
        let json: serde_json::Map<_, _> = words
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        let words: Words = serde_json::from_value(json.into()).unwrap();
        Query::read(words, Timestamp::from_second(10_000).unwrap())
    }

    #[test]
    fn words_are_read_as_kubectl_users_write_them() {
        let query = read(&[
            ("verdict", "leak,Overblock"),
            ("namespace", "shop"),
            ("since", "10m"),
            ("watch", "1"),
        ])
        .unwrap();
        assert_eq!(query.verdicts, [Verdict::Leak, Verdict::Overblock].into());
        assert_eq!(query.since.unwrap().as_second(), 9_400);
        assert!(query.watch && query.all);
        let query = read(&[("verdicts", "all"), ("since", "1970-01-01T00:00:05Z")]).unwrap();
        assert!(query.all && query.verdicts.is_empty() && !query.watch);
        assert_eq!(query.since.unwrap().as_second(), 5);
        assert_eq!(read(&[]).unwrap(), Query::default());
    }

    #[test]
    fn words_that_make_no_sense_are_named() {
        for (name, value) in [
            ("verdict", "leaks"),
            ("since", "yesterday"),
            ("since", "5d"),
            ("since", "ä"),
            ("watch", "x"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.to_string().contains(value), "{error}");
        }
    }
}
