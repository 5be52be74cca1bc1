//! How far a node's wall clock is from this machine's, as far as one question and its answer tell.

use std::time::Duration;

use super::machines::listed;
use crate::report::Checked;

/// From here on people are told.
const LIMIT: Duration = Duration::from_secs(2);

/// A clock against ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Skew {
    /// Nanoseconds that it is ahead; behind where negative.
    pub(super) ahead: i128,
    /// It may be so much more or less: half of the way there and back.
    pub(super) error: Duration,
}

impl Skew {
    /// What an answer tells that says `theirs`, when our clock was `asked` before and the answer came after `round`.
    pub(super) fn new(asked: i128, round: Duration, theirs: i64) -> Self {
        let half = round / 2;
        let middle = asked.saturating_add(i128::try_from(half.as_nanos()).unwrap_or(i128::MAX));
        Self {
            ahead: i128::from(theirs).saturating_sub(middle),
            error: half,
        }
    }

    fn millis(self) -> String {
        format!(
            "{:+} ms ± {} ms",
            self.ahead / 1_000_000,
            self.error.as_millis().saturating_add(1)
        )
    }
}

/// One line for all clocks.
pub(super) fn clocks(nodes: &[(String, Skew)]) -> Option<Checked> {
    let limit = i128::try_from(LIMIT.as_nanos()).unwrap_or(i128::MAX);
    let error = |skew: &Skew| i128::try_from(skew.error.as_nanos()).unwrap_or(i128::MAX);
    let first = nodes.iter().min_by_key(|(_, skew)| skew.ahead)?;
    let last = nodes.iter().max_by_key(|(_, skew)| skew.ahead)?;
    let surely = |apart: i128, error: i128| apart.abs().saturating_sub(error) > limit;
    let mut off: Vec<String> = nodes
        .iter()
        .filter(|(_, skew)| surely(skew.ahead, error(skew)))
        .map(|(name, skew)| format!("{name} {}", skew.millis()))
        .collect();
    let spread = last.1.ahead.saturating_sub(first.1.ahead);
    if off.is_empty() && surely(spread, error(&first.1).saturating_add(error(&last.1))) {
        off = vec![
            format!("{} {}", first.0, first.1.millis()),
            format!("{} {}", last.0, last.1.millis()),
        ];
    }
    let shown = |(name, skew): &(String, Skew)| format!("{name} {}", skew.millis());
    let all: Vec<String> = nodes.iter().map(shown).collect();
    Some(Checked::new(
        "wall clocks",
        off.is_empty(),
        false,
        &format!("against this machine: {}", listed(&all)),
        &format!(
            "more than {} s off: {}: fresh certificates may not be valid there yet, leases end too soon or too late, and times of reports do not fit; verdicts go by no wall clock",
            LIMIT.as_secs(),
            listed(&off)
        ),
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Skew, clocks};

    const SECOND: i64 = 1_000_000_000;

    fn skew(ahead_ms: i64, round_ms: u64) -> Skew {
        let round = Duration::from_millis(round_ms);
        let half = i64::try_from(round_ms).unwrap() * 500_000;
        Skew::new(0, round, ahead_ms * 1_000_000 + half)
    }

    #[test]
    fn an_answer_is_taken_for_the_middle_of_its_round() {
        let found = Skew::new(
            i128::from(SECOND),
            Duration::from_millis(200),
            SECOND + 100_000_000,
        );
        assert_eq!((found.ahead, found.error), (0, Duration::from_millis(100)));
        // Whatever a sensor says, nothing overflows.
        Skew::new(i128::MAX, Duration::MAX, i64::MIN);
        Skew::new(i128::MIN, Duration::ZERO, i64::MAX);
    }

    #[test]
    fn what_the_way_may_explain_is_no_skew() {
        let one = |ahead, round| clocks(&[("n1".to_owned(), skew(ahead, round))]).unwrap();
        assert_eq!(one(1_900, 10).ok, Some(true));
        assert_eq!(one(2_100, 10).ok, Some(false));
        assert_eq!(one(-2_100, 10).ok, Some(false));
        assert_eq!(one(2_900, 2_000).ok, Some(true), "1 s of it may be the way's");
        assert!(
            one(-2_100, 10).detail.contains("n1 -2100 ms ± 6 ms"),
            "{}",
            one(-2_100, 10).detail
        );
    }

    #[test]
    fn two_nodes_that_are_apart_are_named_though_neither_is_far_from_here() {
        let both = [
            ("a".to_owned(), skew(-1_500, 10)),
            ("b".to_owned(), skew(1_500, 10)),
        ];
        let found = clocks(&both).unwrap();
        assert_eq!(found.ok, Some(false));
        assert!(found.detail.contains("a -1500 ms") && found.detail.contains("b +1500 ms"));
        assert_eq!(clocks(&[]), None);
    }
}
