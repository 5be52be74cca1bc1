//! Counting verdicts, and the one word for a stage or a run.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{JudgedAttempt, Verdict};

/// How many attempts got each verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Summary {
    /// All attempts.
    pub attempts: u64,
    /// Denied and stopped.
    pub enforced: u64,
    /// Allowed and delivered.
    pub permitted: u64,
    /// Denied and delivered.
    pub leak: u64,
    /// Allowed and stopped.
    pub overblock: u64,
    /// Left open by the API.
    pub unspecified: u64,
    /// Cannot be told.
    pub inconclusive: u64,
}

/// What follows for a stage or a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RunVerdict {
    /// Every attempt did what the policies require.
    Enforced,
    /// Some attempts did and some did not.
    PartiallyEnforced,
    /// Denied traffic got through and none was stopped.
    NotEnforced,
    /// No violation was seen, and something could not be told.
    Inconclusive,
}

impl Summary {
    /// Counts attempts.
    pub fn of<'a>(attempts: impl IntoIterator<Item = &'a JudgedAttempt>) -> Self {
        let mut summary = Self::default();
        for attempt in attempts {
            summary.attempts = summary.attempts.saturating_add(1);
            let count = match attempt.verdict {
                Verdict::Enforced => &mut summary.enforced,
                Verdict::Permitted => &mut summary.permitted,
                Verdict::Leak => &mut summary.leak,
                Verdict::Overblock => &mut summary.overblock,
                Verdict::Unspecified => &mut summary.unspecified,
                Verdict::Inconclusive => &mut summary.inconclusive,
            };
            *count = count.saturating_add(1);
        }
        summary
    }

    /// The word for these counts. A violation is one even where other attempts could not be told; what could not be
    /// told is never a pass; and where nothing was probed that a policy could require, nothing is proven.
    #[must_use]
    pub const fn verdict(&self) -> RunVerdict {
        if self.leak > 0 && self.enforced == 0 {
            RunVerdict::NotEnforced
        } else if self.leak > 0 || self.overblock > 0 {
            RunVerdict::PartiallyEnforced
        } else if self.inconclusive > 0 || (self.enforced == 0 && self.permitted == 0) {
            RunVerdict::Inconclusive
        } else {
            RunVerdict::Enforced
        }
    }
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.enforced = self.enforced.saturating_add(other.enforced);
        self.permitted = self.permitted.saturating_add(other.permitted);
        self.leak = self.leak.saturating_add(other.leak);
        self.overblock = self.overblock.saturating_add(other.overblock);
        self.unspecified = self.unspecified.saturating_add(other.unspecified);
        self.inconclusive = self.inconclusive.saturating_add(other.inconclusive);
    }
}

impl std::iter::Sum for Summary {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

impl RunVerdict {
    /// The exit code of a command that ends with this verdict: 0, 1 for a violation, 3 for do not know.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Enforced => 0,
            Self::PartiallyEnforced | Self::NotEnforced => 1,
            Self::Inconclusive => 3,
        }
    }

    /// The word as people read it.
    #[must_use]
    pub const fn shout(self) -> &'static str {
        match self {
            Self::Enforced => "ENFORCED",
            Self::PartiallyEnforced => "PARTIALLY ENFORCED",
            Self::NotEnforced => "NOT ENFORCED",
            Self::Inconclusive => "INCONCLUSIVE",
        }
    }
}

impl fmt::Display for RunVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shout())
    }
}

#[cfg(test)]
mod tests {
    use super::{RunVerdict, Summary};

    fn of(enforced: u64, permitted: u64, leak: u64, overblock: u64, inconclusive: u64) -> RunVerdict {
        let attempts = enforced + permitted + leak + overblock + inconclusive;
        Summary {
            attempts,
            enforced,
            permitted,
            leak,
            overblock,
            unspecified: 0,
            inconclusive,
        }
        .verdict()
    }

    #[test]
    fn leaks_with_nothing_stopped_are_no_enforcement_at_all() {
        assert_eq!(of(0, 1, 11, 0, 0), RunVerdict::NotEnforced);
        assert_eq!(of(1, 1, 10, 0, 0), RunVerdict::PartiallyEnforced);
        assert_eq!(of(0, 1, 11, 3, 0), RunVerdict::NotEnforced);
    }

    #[test]
    fn an_overblock_is_a_violation_too() {
        assert_eq!(of(11, 0, 0, 1, 0), RunVerdict::PartiallyEnforced);
        assert_eq!(of(0, 0, 0, 1, 0), RunVerdict::PartiallyEnforced);
    }

    #[test]
    fn a_violation_outweighs_what_cannot_be_told_and_that_outweighs_a_pass() {
        assert_eq!(of(5, 5, 1, 0, 9), RunVerdict::PartiallyEnforced);
        assert_eq!(of(5, 5, 0, 0, 1), RunVerdict::Inconclusive);
    }

    #[test]
    fn an_open_baseline_in_which_everything_went_through_is_enforced() {
        assert_eq!(of(0, 12, 0, 0, 0), RunVerdict::Enforced);
    }

    #[test]
    fn nothing_probed_proves_nothing() {
        assert_eq!(Summary::default().verdict(), RunVerdict::Inconclusive);
        let open = Summary {
            attempts: 3,
            unspecified: 3,
            ..Summary::default()
        };
        assert_eq!(open.verdict(), RunVerdict::Inconclusive);
    }

    #[test]
    fn the_exit_code_follows_the_verdict() {
        let codes = [
            RunVerdict::Enforced,
            RunVerdict::PartiallyEnforced,
            RunVerdict::NotEnforced,
            RunVerdict::Inconclusive,
        ]
        .map(RunVerdict::exit_code);
        assert_eq!(codes, [0, 1, 1, 3]);
    }
}
