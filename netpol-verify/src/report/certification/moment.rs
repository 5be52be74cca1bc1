//! Moments that no settle budget excuses: the start of a pod, the restart of whoever enforces, and changes that concern others.

use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens in such a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MomentKind {
    /// A pod starts under policies that are in force already: it is isolated before it starts, and what it may do may follow
    /// (Kubernetes documentation, "Pod lifecycle and network policies").
    StartUp,
    /// Whoever enforces is started anew, and neither pods nor policies change.
    Restart,
    /// Something changes in the cluster, and what a path must do stays as it is, whichever of it is in force already: no object that
    /// changes concerns its ends, or one policy alone changes and each side of the path is open, or one is closed, before and after.
    Change,
}

/// What packets did in such moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MomentSummary {
    /// How many moments.
    pub moments: u64,
    /// Attempts that were made in them.
    pub attempts: u64,
    /// Paths that were open though policies deny them, whether or not they were closed in the end.
    pub leaks: u64,
    /// Paths that were closed though policies allow them, which the start of a pod may do.
    pub overblocks: u64,
    /// Paths that lost one probe, in a restart or while something else changed, and passed when asked again: a client sends again,
    /// and so nothing is closed.
    pub lost: u64,
    /// Paths of which nothing can be told in the moment.
    pub unknown: u64,
    /// From its beginning to the last attempt that was still wrong, in microseconds; none where none was.
    pub last_wrong_micros: Option<u64>,
}

/// One moment of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Moment {
    /// At which step of the case, from 1.
    pub step: usize,
    /// What happened.
    pub kind: MomentKind,
    /// What packets did.
    pub seen: MomentSummary,
}

/// The moments of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Moments {
    /// Pods that started.
    pub start_up: MomentSummary,
    /// Restarts of whoever enforces.
    pub restart: MomentSummary,
    /// Changes, for the paths that they do not concern.
    pub change: MomentSummary,
}

impl MomentKind {
    /// As a phrase for an attempt: `while the pod started`.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::StartUp => "while the pod started",
            Self::Restart => "while the enforcer restarted",
            Self::Change => "while something else changed",
        }
    }
}

impl AddAssign for MomentSummary {
    fn add_assign(&mut self, other: Self) {
        self.moments = self.moments.saturating_add(other.moments);
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.leaks = self.leaks.saturating_add(other.leaks);
        self.overblocks = self.overblocks.saturating_add(other.overblocks);
        self.lost = self.lost.saturating_add(other.lost);
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.last_wrong_micros = self.last_wrong_micros.max(other.last_wrong_micros);
    }
}

impl Moments {
    pub(super) fn of<'a>(all: impl Iterator<Item = &'a Moment>) -> Self {
        let mut moments = Self::default();
        for one in all {
            match one.kind {
                MomentKind::StartUp => moments.start_up += one.seen,
                MomentKind::Restart => moments.restart += one.seen,
                MomentKind::Change => moments.change += one.seen,
            }
        }
        moments
    }
}

impl MomentSummary {
    /// `2 moments, 1,804 attempts: nothing crossed or was stopped by mistake`; none where there was no such moment.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        if self.moments == 0 {
            return None;
        }
        let Self {
            moments, attempts, ..
        } = self;
        let mut found = Vec::new();
        for (count, what) in [
            (self.leaks, "open against the policies"),
            (self.overblocks, "closed against the policies"),
            (self.lost, "that lost a probe and passed the next time"),
            (self.unknown, "not told"),
        ] {
            if count > 0 {
                found.push(format!("{count} paths {what}"));
            }
        }
        if let Some(micros) = self.last_wrong_micros {
            found.push(format!("the last {} ms after it began", micros / 1_000));
        }
        let found = if found.is_empty() {
            "no path was wrong".to_owned()
        } else {
            found.join(", ")
        };
        Some(format!("seen {moments} times in {attempts} attempts: {found}"))
    }
}
