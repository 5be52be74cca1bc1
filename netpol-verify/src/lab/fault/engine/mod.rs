//! Faults of what the engine does beside its gates: chains and their order, the memory of flows, NAT, what pods forge.

mod mutation;
mod prediction;

use super::Shown;

/// What is wrong with the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EngineFault {
    /// Gates are there, and on the first node nothing sends packets to them.
    JumpMissing,
    /// On the last node everything is dropped.
    OneNodeClosed,
    /// What an egress gate lets through is not asked again.
    EgressAcceptSkipsIngress,
    /// What gates let through falls to somebody's chain that drops it.
    FallsToForeignDrop,
    /// Somebody's chain accepts what comes from the first node's pods before the gates are asked.
    ForeignAcceptAbove,
    /// Answers are asked as if they opened a connection.
    RepliesAsked,
    /// TCP answers of ingress-isolated pods are untracked, and dropped for it.
    Untracked,
    /// No new flow passes the last node: its memory of flows is full.
    MemoryFull,
    /// What leaves a node for another one's pods has the node's address.
    NodeIdentity,
    /// A SYN passes as the answer to one that was refused.
    HolePunch,
    /// A pod may send with another pod's address.
    SourceSpoof,
    /// Nodes unpack what a pod has wrapped.
    EncapFromPod,
}

impl EngineFault {
    /// Which attempts show it.
    pub(super) const fn shown(self) -> Shown {
        match self {
            Self::HolePunch => Shown::ByAnswering,
            Self::SourceSpoof => Shown::ByForeignAddress,
            Self::EncapFromPod => Shown::ByTunnel,
            Self::JumpMissing
            | Self::OneNodeClosed
            | Self::EgressAcceptSkipsIngress
            | Self::FallsToForeignDrop
            | Self::ForeignAcceptAbove
            | Self::RepliesAsked
            | Self::Untracked
            | Self::MemoryFull
            | Self::NodeIdentity => Shown::ByPairs,
        }
    }
}
