//! How long to wait before trying again, and saying so without saying it a thousand times.

use std::time::Duration;

const FIRST: u64 = 100;
const LONGEST: u64 = 5_000;
/// While nothing changes it is said again each so many times: every five minutes or so.
const REMIND: u32 = 60;

/// The wait before an attempt, counted from 1: doubling up to five seconds, and up to a half less, at random, so that a
/// thousand sensors do not come at once.
pub(super) fn wait(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(10);
    let whole = FIRST.saturating_mul(2_u64.saturating_pow(doublings)).min(LONGEST);
    let random = crate::random::random() % (whole / 2).max(1);
    Duration::from_millis(whole - random)
}

/// Says the same thing once, and again from time to time.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    last: Option<String>,
    times: u32,
}

impl Repeats {
    /// Whether that should be said now.
    pub(super) fn is_news(&mut self, text: &str) -> bool {
        if self.last.as_deref() != Some(text) {
            self.last = Some(text.to_owned());
            self.times = 0;
        }
        let news = self.times.is_multiple_of(REMIND);
        self.times = self.times.wrapping_add(1);
        news
    }

    /// All is well again: whether something had been said.
    pub(super) fn forget(&mut self) -> bool {
        self.times = 0;
        self.last.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Repeats, wait};

    #[test]
    fn waits_grow_and_end_at_five_seconds() {
        assert!((50..=100).contains(&wait(1).as_millis()));
        assert!((800..=1_600).contains(&wait(5).as_millis()));
        assert!(wait(usize::MAX) <= Duration::from_secs(5));
    }

    #[test]
    fn the_same_words_are_said_once_in_a_while() {
        let mut repeats = Repeats::default();
        let said = (0..120).filter(|_| repeats.is_news("no")).count();
        assert_eq!(said, 2);
        assert!(repeats.is_news("another") && repeats.forget() && !repeats.forget());
        assert!(repeats.is_news("another"));
    }
}
