//! Answers that may be open: what is certain, what is possible, and why the two differ.

use super::decision::{Expectation, Unspecified};

/// Whether an attempt is let through. Certain implies possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) certain: bool,
    pub(crate) possible: bool,
    /// Why they differ, where they do.
    pub(crate) why: Option<Unspecified>,
}

impl Answer {
    pub(crate) const OPEN: Self = Self {
        certain: true,
        possible: true,
        why: None,
    };
    pub(crate) const CLOSED: Self = Self {
        certain: false,
        possible: false,
        why: None,
    };

    /// Closed, unless the API's silence is read the other way.
    pub(crate) const fn left_open(why: Unspecified) -> Self {
        Self {
            certain: false,
            possible: true,
            why: Some(why),
        }
    }

    /// Both must let it through.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            certain: self.certain && other.certain,
            possible: self.possible && other.possible,
            why: self.why.or(other.why),
        }
    }

    /// One of the two holds and nobody can say which, because of `why`.
    pub(crate) fn or_else(self, other: Self, why: Unspecified) -> Self {
        if (self.certain, self.possible) == (other.certain, other.possible) {
            return self;
        }
        Self {
            certain: self.certain && other.certain,
            possible: self.possible || other.possible,
            why: Some(self.why.or(other.why).unwrap_or(why)),
        }
    }

    pub(crate) fn expectation(self) -> Expectation {
        match (self.certain, self.possible) {
            (true, _) => Expectation::Allow,
            (false, false) => Expectation::Deny,
            (false, true) => Expectation::Unspecified(self.why.unwrap_or(Unspecified::UnknownEnd)),
        }
    }
}

/// Whether a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    No,
    Maybe(Unspecified),
    Yes,
}

impl Match {
    /// The surer of two.
    pub(crate) const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Maybe(why), _) | (_, Self::Maybe(why)) => Self::Maybe(why),
            (Self::No, Self::No) => Self::No,
        }
    }

    pub(crate) const fn when(is_met: bool) -> Self {
        if is_met { Self::Yes } else { Self::No }
    }
}
