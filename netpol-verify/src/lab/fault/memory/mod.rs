//! Faults of time and state: what the enforcer keeps too long, learns too late, or forgets when it starts.
//!
//! The enforcer goes by what it was told last and by what it believes; the prediction goes by all that it was told since it was
//! started. What heals, heals when it is told the next time: time in the lab is what happens in it.

mod belief;
mod prediction;

use super::{Change, policies};
use crate::cluster::{ObjectName, Snapshot};

/// What is wrong with the enforcer's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemoryFault {
    /// A pod keeps the labels that it came with.
    PodLabelsStale,
    /// A namespace keeps the labels that it came with.
    NamespaceLabelsStale,
    /// A deleted policy stays.
    DeletedPolicyStays,
    /// A policy stays as it was created.
    PolicyChangeMissed,
    /// Policies that are created later are not installed.
    LaterPolicyMissed,
    /// A pod that is over stays a peer, whoever has its address now.
    FinishedPodStays,
    /// A new pod has no gates until the next telling.
    NewPodUngated,
    /// A new pod is nobody's peer until the next telling.
    NewPodUnknown,
    /// Every change waits for the next telling.
    OneTellingBehind,
    /// A changed policy is taken away, and put back at the next telling.
    ChangedPolicyAbsent,
    /// At its start the enforcer has no rules until the next telling.
    NothingAtStart,
    /// At its start it lets nothing through isolated pods' gates.
    NoAcceptsAtStart,
    /// At its start no selector has found its pods.
    NoPeersAtStart,
    /// At its start each policy overwrites those before it.
    OverwrittenAtStart,
    /// Between the first telling and the second somebody empties the first node's chains.
    FlushedByOthers,
}

impl MemoryFault {
    /// What shows it.
    pub(super) const fn shown(self) -> Change {
        match self {
            Self::PodLabelsStale | Self::OneTellingBehind => Change::PodLabels,
            Self::NamespaceLabelsStale => Change::NamespaceLabels,
            Self::DeletedPolicyStays => Change::PolicyGone,
            Self::PolicyChangeMissed | Self::ChangedPolicyAbsent => Change::Policy,
            Self::LaterPolicyMissed => Change::NewPolicy,
            Self::FinishedPodStays => Change::PodOver,
            Self::NewPodUngated | Self::NewPodUnknown => Change::NewPods,
            Self::NothingAtStart
            | Self::NoAcceptsAtStart
            | Self::NoPeersAtStart
            | Self::OverwrittenAtStart
            | Self::FlushedByOthers => Change::Start,
        }
    }
}

/// What an enforcer with such a fault knows from before.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// How often it was told.
    times: usize,
    /// What it was told last.
    last: Option<Snapshot>,
    /// What it takes the cluster to be.
    believed: Option<Snapshot>,
    /// The pods that the last telling brought.
    new: Vec<ObjectName>,
}
