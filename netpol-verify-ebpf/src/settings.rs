//! What user space tells the programs, what they count, and how the object's parts are called.

/// Settings that may change while the programs run: the one element of the map `SETTINGS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Repeats of one kind within this many nanoseconds are folded into a count; 0 records every packet (probes).
    pub fold_window_ns: u64,
    /// Token bucket per pod: nanoseconds a record costs; 0 switches the bucket off.
    pub bucket_interval_ns: u64,
    /// Token bucket per pod: how many nanoseconds may be saved up.
    pub bucket_burst_ns: u64,
    /// 1 wakes the reader for each record (a probe is in flight), 0 leaves it to its poll.
    pub wakeup: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(core::mem::size_of::<Settings>() == 32);

/// Indices of the per-CPU counters in the map `COUNTERS`. Conservation: `SEEN` is the sum of the next four.
pub mod counter {
    /// First packets, answers and errors that the programs looked at.
    pub const SEEN: u32 = 0;
    /// Written to the ring.
    pub const RECORDED: u32 = 1;
    /// Folded into a count.
    pub const FOLDED: u32 = 2;
    /// Not written: the pod's token bucket was empty.
    pub const THROTTLED: u32 = 3;
    /// Not written: the ring was full.
    pub const RING_FULL: u32 = 4;
    /// Packets whose headers could not be followed (truncated, too many extension headers). Not in `SEEN`.
    pub const UNPARSED: u32 = 5;
    /// Later fragments, which carry no ports. Not in `SEEN`.
    pub const FRAGMENTS: u32 = 6;
    /// Losses that the map `LOSSES` had no room to attribute to a namespace.
    pub const UNATTRIBUTED: u32 = 7;
    /// Folded packets whose count has been carried by a record.
    pub const FOLDED_CARRIED: u32 = 8;
    /// How many there are.
    pub const COUNT: u32 = 9;
}

/// What was lost in one network namespace: a value of the map `LOSSES`, keyed by its cookie.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Records the ring had no room for.
    pub ring_full: u64,
    /// Records beyond the token bucket.
    pub throttled: u64,
}

/// The call that a loader turns into one of the kernel's own function `bpf_cast_to_kern_ctx`: no helper has this
/// number, and the compiler cannot name a kernel function in Rust (it lacks the section `.ksyms`). Where the kernel has
/// no such function (before Linux 6.2) the global `NPV_KERNEL_CONTEXT` stays 0 and the call is never reached.
pub const KERNEL_CONTEXT_CALL: u32 = 0x4e50_5601;

/// The names of programs, maps and globals in the object; a loader finds them by these.
pub mod name {
    /// The classifier of what leaves a pod.
    pub const POD_EGRESS: &str = "pod_egress";
    /// The classifier of what reaches a pod.
    pub const POD_INGRESS: &str = "pod_ingress";
    /// The tracepoint program of what the kernel frees.
    pub const PACKET_DROP: &str = "packet_drop";
    /// A classifier that only returns: the floor of the benchmarks.
    pub const NOTHING: &str = "nothing";
    /// The ring buffer of records.
    pub const RECORDS: &str = "RECORDS";
    /// The settings.
    pub const SETTINGS: &str = "SETTINGS";
    /// The counters.
    pub const COUNTERS: &str = "COUNTERS";
    /// Losses by network namespace.
    pub const LOSSES: &str = "LOSSES";
}
