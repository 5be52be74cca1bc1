//! How long a run waits for an enforcer that does not follow: the whole budget, until it has shown that it never will.

use std::time::Duration;

use crate::finding::{JudgedAttempt, Verdict};

/// After so many whole budgets in a row in which nothing of a kind came right, it is no longer waited for in full.
const IN_VAIN: u32 = 3;
/// What is waited for then, at least; or four times the longest that anything has taken so far.
const SHORT: Duration = Duration::from_secs(1);

/// What is wrong at the end of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Doubts {
    pub(super) leak: bool,
    pub(super) overblock: bool,
    pub(super) unknown: bool,
}

impl Doubts {
    pub(super) fn of<'a>(attempts: impl Iterator<Item = &'a JudgedAttempt>) -> Self {
        let mut doubts = Self::default();
        for attempt in attempts {
            match attempt.verdict {
                Verdict::Leak => doubts.leak = true,
                Verdict::Overblock => doubts.overblock = true,
                Verdict::Inconclusive => doubts.unknown = true,
                Verdict::Enforced | Verdict::Permitted | Verdict::Unspecified => {}
            }
        }
        doubts
    }

    pub(super) const fn any(self) -> bool {
        self.leak || self.overblock || self.unknown
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self {
            leak: self.leak || other.leak,
            overblock: self.overblock || other.overblock,
            unknown: self.unknown || other.unknown,
        }
    }

    pub(super) const fn violation(self) -> bool {
        self.leak || self.overblock
    }
}

/// What a run has learnt of its enforcer's speed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Learnt {
    leaks_in_vain: u32,
    overblocks_in_vain: u32,
    slowest: Duration,
    /// Whether any budget was cut.
    cut: bool,
}

impl Learnt {
    /// How long a step may still be wrong in this way.
    pub(super) fn budget(&mut self, whole: Duration, doubts: Doubts) -> Duration {
        let hopeless = (!doubts.leak || self.leaks_in_vain >= IN_VAIN)
            && (!doubts.overblock || self.overblocks_in_vain >= IN_VAIN)
            && doubts.violation();
        if !hopeless {
            return whole;
        }
        let short = whole.min(SHORT.max(self.slowest * 4));
        self.cut |= short < whole;
        short
    }

    /// A step came right after it had been wrong.
    pub(super) fn healed(&mut self, had: Doubts, after: Duration) {
        if had.leak {
            self.leaks_in_vain = 0;
        }
        if had.overblock {
            self.overblocks_in_vain = 0;
        }
        self.slowest = self.slowest.max(after);
    }

    /// A step's budget was spent.
    pub(super) fn spent(&mut self, doubts: Doubts) {
        self.leaks_in_vain += u32::from(doubts.leak);
        self.overblocks_in_vain += u32::from(doubts.overblock);
    }

    /// Whether budgets were cut.
    pub(super) const fn is_short(&self) -> bool {
        self.cut
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Doubts, Learnt};

    const WHOLE: Duration = Duration::from_secs(30);
    const LEAK: Doubts = Doubts {
        leak: true,
        overblock: false,
        unknown: false,
    };
    const OVERBLOCK: Doubts = Doubts {
        leak: false,
        overblock: true,
        unknown: false,
    };

    #[test]
    fn an_enforcer_that_never_stops_a_leak_is_waited_for_three_times() {
        let mut learnt = Learnt::default();
        for _ in 0..3 {
            assert_eq!(learnt.budget(WHOLE, LEAK), WHOLE);
            learnt.spent(LEAK);
        }
        assert_eq!(learnt.budget(WHOLE, LEAK), Duration::from_secs(1));
        assert_eq!(
            learnt.budget(WHOLE, OVERBLOCK),
            WHOLE,
            "nothing was learnt of these"
        );
        let both = Doubts {
            overblock: true,
            ..LEAK
        };
        assert_eq!(learnt.budget(WHOLE, both), WHOLE);
        assert!(learnt.is_short());
        let mut lab = learnt;
        lab.cut = false;
        assert_eq!(lab.budget(Duration::ZERO, LEAK), Duration::ZERO);
        assert!(!lab.is_short(), "nothing was taken from nothing");
    }

    #[test]
    fn one_leak_that_ends_gives_the_whole_budget_back() {
        let mut learnt = Learnt::default();
        (0..5).for_each(|_| learnt.spent(LEAK));
        learnt.healed(LEAK, Duration::from_secs(2));
        assert_eq!(learnt.budget(WHOLE, LEAK), WHOLE);
        (0..3).for_each(|_| learnt.spent(LEAK));
        assert_eq!(
            learnt.budget(WHOLE, LEAK),
            Duration::from_secs(8),
            "four times the slowest"
        );
    }
}
