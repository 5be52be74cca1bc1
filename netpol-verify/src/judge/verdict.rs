//! The verdict on one attempt.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What follows from what must happen and what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// The policies deny it and it was stopped, with proof that a delivery would have been seen.
    Enforced,
    /// The policies allow it and it went through.
    Permitted,
    /// The policies deny it and it was delivered.
    Leak,
    /// The policies allow it and it was stopped, or its answer was.
    Overblock,
    /// The API leaves it open: whatever happened is right.
    Unspecified,
    /// What happened cannot be told.
    Inconclusive,
}

impl Verdict {
    /// Every verdict, in the order reports use.
    pub const ALL: [Self; 6] = [
        Self::Enforced,
        Self::Permitted,
        Self::Leak,
        Self::Overblock,
        Self::Unspecified,
        Self::Inconclusive,
    ];

    /// Whether the CNI broke the policies.
    #[must_use]
    pub const fn is_violation(self) -> bool {
        matches!(self, Self::Leak | Self::Overblock)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforced => "Enforced",
            Self::Permitted => "Permitted",
            Self::Leak => "Leak",
            Self::Overblock => "Overblock",
            Self::Unspecified => "Unspecified",
            Self::Inconclusive => "Inconclusive",
        })
    }
}

/// Why nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inconclusive {
    /// The outcome is unknown, for the reason it carries.
    Outcome(crate::flow::UnknownCause),
    /// It was stopped, but by no enforcer: routing, a neighbour, the machine. That proves nothing of the policy.
    NotByPolicy(crate::flow::DropPlace),
}
