//! What a sensor says: batches of untouched records, announcements of the interfaces they come from, and what its node is.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use bytes::Bytes;
use netpol_verify_ebpf::RECORD_SIZE;
use serde::{Deserialize, Serialize};

use crate::net::{Ifindex, KernelTime, NetnsCookie};

/// A node's name as the sensor was told it.
pub type NodeName = Arc<str>;

/// Who speaks: a sensor from its start to its end. Sequence numbers, losses and interfaces of one session say nothing of
/// another's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The node.
    pub node: NodeName,
    /// Drawn at random when the sensor starts.
    pub session: u64,
}

/// What a sensor says.
#[derive(Clone, Debug)]
pub enum Message {
    /// Records, or a heartbeat.
    Batch(Batch),
    /// An interface came, changed or went.
    Announcement(Announcement),
    /// Every interface of the node that is watched or should be: what it does not list went.
    Roster(Roster),
    /// What the node is; before its first batch, and whenever a verifier is new.
    Node(NodeFacts),
}

impl Message {
    /// Who says it.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        match self {
            Self::Batch(batch) => &batch.origin,
            Self::Announcement(announcement) => &announcement.origin,
            Self::Roster(roster) => &roster.origin,
            Self::Node(facts) => &facts.origin,
        }
    }
}

/// Records as they lay in the ring. An empty batch is a heartbeat: it proves that the sensor was alive and drained at
/// `drained_at`.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Who says it.
    pub origin: Origin,
    /// Rises by one with each batch of a session, from 1, so that a gap shows.
    pub sequence: u64,
    /// Whole records of [`RECORD_SIZE`] bytes, in the ring's order.
    pub records: Bytes,
    /// The ring was empty at this moment: every earlier record is in this batch or one before.
    pub drained_at: KernelTime,
    /// Everything lost since the sensor started. Only a heartbeat's counts; others carry the last heartbeat's.
    pub losses: Arc<LossTotals>,
    /// Functions that free packets, which these records name for the first time: address and name.
    pub functions: BTreeMap<u64, String>,
    /// The latest call of each verifier that this sensor has heard.
    pub heard: Vec<Heard>,
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

/// A verifier calls with its own time; the sensor says when it heard the call. Between the two lies one way through the
/// bus, and that bounds how far the two clocks are apart, without trusting either machine's wall clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The verifier, as it calls itself.
    pub verifier: String,
    /// Its clock when it called.
    pub called_at: KernelTime,
    /// The sensor's clock when the call came.
    pub heard_at: KernelTime,
}

/// Losses since the sensor started, where they happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Who says it.
    pub origin: Origin,
    /// The interface.
    pub interface: WatchedInterface,
}

/// All of a node's interfaces at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// Who says it.
    pub origin: Origin,
    /// When.
    pub at: KernelTime,
    /// The interfaces.
    pub interfaces: Vec<WatchedInterface>,
}

/// One interface inside a pod's network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchedInterface {
    /// The namespace's identity.
    pub netns: NetnsCookie,
    /// How the namespace was found: its name under `/run/netns`, or the process in it.
    pub netns_name: String,
    /// The pods whose processes run in it, by UID. One, unless a namespace is shared or none was found.
    pub pods: BTreeSet<String>,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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

/// What a node is, as far as its records need it to be read, and its answers to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Who says it.
    pub origin: Origin,
    /// The facts.
    pub facts: SensorFacts,
}

/// The facts of [`NodeFacts`], as they travel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SensorFacts {
    /// The sensor's version.
    pub version: String,
    /// The record format of its object.
    pub abi: u32,
    /// The kernel's release.
    pub kernel: String,
    /// The kernel's `random/boot_id`.
    pub boot: String,
    /// The node's own network namespace: drops there are this node's, drops in unknown ones are somebody else's.
    pub host_netns: NetnsCookie,
    /// Names of drop reasons by number, from the running kernel.
    pub drop_reasons: BTreeMap<u32, String>,
    /// Functions that free packets, as far as records have named them: address and name.
    pub functions: BTreeMap<u64, String>,
    /// Whether drops are seen.
    pub sees_drops: bool,
    /// `tcx` or `clsact`.
    pub attachment: String,
    /// What it has to do without, and what that costs.
    pub notes: Vec<String>,
    /// When the sensor started, on the node's clock.
    pub started: KernelTime,
    /// The node's wall clock now, in nanoseconds since 1970: only ever compared to tell people of skew.
    pub wall_clock: i64,
}
