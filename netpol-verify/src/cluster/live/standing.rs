//! How far one kind of a followed cluster can be trusted.

use super::{
    LiveError,
    resource::{Need, Resource},
};
use crate::net::KernelTime;

/// How one kind stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Not listed yet.
    #[default]
    Awaited,
    /// It is as it was when the server was last heard of; a quiet server is heard of about once a minute.
    Known {
        /// When.
        heard: KernelTime,
    },
    /// What changed is not known; what is known is as old as `heard`.
    Broken {
        /// When it was first told.
        since: KernelTime,
        /// When the server was last heard of; never where the kind was never listed.
        heard: Option<KernelTime>,
        /// Why, as last told.
        why: LiveError,
    },
    /// The server does not serve it.
    Absent {
        /// When that was told.
        heard: KernelTime,
        /// What an answer lacks all the same.
        lacks: Option<String>,
    },
}

impl Standing {
    /// When the kind was last known to be the server's; `None` where it never was.
    #[must_use]
    pub const fn heard(&self) -> Option<KernelTime> {
        match self {
            Self::Awaited => None,
            Self::Known { heard } | Self::Absent { heard, .. } => Some(*heard),
            Self::Broken { heard, .. } => *heard,
        }
    }

    /// The server was heard of. What is broken stays so until it is listed again.
    pub(super) const fn hear(&mut self, now: KernelTime) {
        if let Self::Known { heard } = self {
            *heard = now;
        }
    }

    pub(super) fn break_at(&mut self, now: KernelTime, why: LiveError) {
        let (since, heard) = match self {
            Self::Broken { since, heard, .. } => (*since, *heard),
            _ => (now, self.heard()),
        };
        *self = Self::Broken { since, heard, why };
    }

    /// Whether there is nothing to wait for: it was listed once, or the server said no and an answer can do without.
    pub(super) const fn is_settled(&self, resource: &Resource) -> bool {
        let is_optional = !matches!(resource.need, Need::Required);
        let is_refused = matches!(
            self,
            Self::Broken {
                why: LiveError::Forbidden { .. } | LiveError::Refused { .. },
                ..
            }
        );
        self.heard().is_some() || (is_optional && is_refused)
    }

    /// What an answer lacks for it.
    pub(super) fn lacks(&self, resource: &Resource) -> Option<String> {
        match self {
            Self::Awaited | Self::Known { .. } => None,
            Self::Absent { lacks, .. } => lacks.clone(),
            Self::Broken { why, .. } => Some(match resource.need {
                Need::Required => format!("cannot be followed, so what changes is not known: {why}"),
                Need::Useful(cost) | Need::Served(cost) => format!("cannot be followed: {cost}; {why}"),
            }),
        }
    }
}
