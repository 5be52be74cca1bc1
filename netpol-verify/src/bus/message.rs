//! Batches of untouched records, and announcements of the interfaces they come from.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use bytes::Bytes;
use netpol_verify_ebpf::RECORD_SIZE;

use crate::net::{Ifindex, KernelTime, NetnsCookie};

/// A node's name as the sensor was told it.
pub type NodeName = Arc<str>;

/// What a sensor says.
#[derive(Clone, Debug)]
pub enum Message {
    /// Records.
    Batch(Batch),
    /// An interface came, changed or went.
    Announcement(Announcement),
}

/// Records as they lay in the ring, and all that was lost up to now. An empty batch is a heartbeat: it proves that
/// the sensor was alive and drained at `drained_at`.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The node.
    pub node: NodeName,
    /// Rises by one with each batch of a node, so that a gap shows.
    pub sequence: u64,
    /// Whole records of [`RECORD_SIZE`] bytes, in the ring's order.
    pub records: Bytes,
    /// The ring was empty at this moment: every earlier record is in this batch or one before.
    pub drained_at: KernelTime,
    /// Everything lost since the sensor started.
    pub losses: LossTotals,
}

impl Batch {
    /// How many records it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len() / RECORD_SIZE
    }

    /// Whether it is a heartbeat.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

/// Losses since the sensor started, where they happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LossTotals {
    /// Ring full or throttled, by network namespace.
    pub by_netns: BTreeMap<NetnsCookie, u64>,
    /// Losses nobody can place: they touch everyone on the node.
    pub unplaced: u64,
    /// The programs' counters, by their index in `netpol_verify_ebpf::settings::counter`.
    pub counters: Vec<u64>,
    /// Records dropped between the ring and the bus.
    pub not_published: u64,
    /// When they were read, after the ring was drained: what grew may have been lost up to then.
    pub read_at: KernelTime,
}

/// What a sensor knows of one interface inside a pod's network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The node.
    pub node: NodeName,
    /// The namespace's identity.
    pub netns: NetnsCookie,
    /// Its name under `/run/netns`.
    pub netns_name: String,
    /// The interface in it.
    pub ifindex: Ifindex,
    /// Its name.
    pub ifname: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its state.
    pub state: InterfaceState,
}

/// Whether an interface is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceState {
    /// Both classifiers are attached.
    Watched {
        /// Since when.
        since: KernelTime,
    },
    /// It could not be attached to; nothing can be said of its pod.
    Failed {
        /// Why not.
        why: String,
    },
    /// It went away.
    Gone {
        /// When that was noticed.
        at: KernelTime,
    },
}
