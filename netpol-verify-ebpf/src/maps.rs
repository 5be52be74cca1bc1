//! The maps and the globals that user space sets before loading.

use aya_ebpf::{
    Global,
    btf_maps::{Array, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf},
    macros::btf_map,
};
use netpol_verify_ebpf::{
    ABI_VERSION, SNAP_LENGTH,
    settings::{Losses, Settings, counter},
};

/// 8 MiB: 43,000 records; user space may set another size before loading.
#[btf_map]
pub(crate) static RECORDS: RingBuf<(), { 8 << 20 }> = RingBuf::new();

#[btf_map]
pub(crate) static SETTINGS: Array<Settings, 1> = Array::new();

#[btf_map]
pub(crate) static COUNTERS: PerCpuArray<u64, { counter::COUNT as usize }> = PerCpuArray::new();

#[btf_map]
pub(crate) static LOSSES: PerCpuHashMap<u64, Losses, 4096> = PerCpuHashMap::new();

/// Where repeats are counted; the oldest makes room for the newest.
#[btf_map]
pub(crate) static FOLDS: LruHashMap<FoldKey, Fold, 65536> = LruHashMap::new();

/// When a pod's next record is due, if it had sent at its rate (generic cell rate algorithm).
#[btf_map]
pub(crate) static BUCKETS: LruHashMap<BucketKey, u64, 16384> = LruHashMap::new();

/// The head of a packet that is being freed: 128 bytes are too many for the stack beside a fold key.
#[btf_map]
pub(crate) static HEAD: PerCpuArray<[u8; SNAP_LENGTH], 1> = PerCpuArray::new();

/// Repeats are told apart by where they were seen, both addresses, the service and the kind.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct FoldKey {
    pub(crate) netns_cookie: u64,
    pub(crate) source: [u64; 2],
    pub(crate) destination: [u64; 2],
    pub(crate) service: u16,
    pub(crate) transport: u8,
    pub(crate) class: u8,
    /// A whole word, so that no padding is left to be zeroed byte by byte.
    pub(crate) vantage: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Fold {
    pub(crate) window_start: u64,
    pub(crate) count: u64,
}

/// A pod's interface by its namespace. A drop happens on the node, where the source address is all there is to tell
/// pods apart: forged ones get buckets of their own, and the ring, whose losses are counted, is the bound.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct BucketKey {
    pub(crate) netns_cookie: u64,
    pub(crate) source: u64,
}

/// The number that user space compares with its own before it loads.
#[unsafe(no_mangle)]
pub(crate) static NPV_ABI_VERSION: Global<u32> = Global::new(ABI_VERSION);

/// 1 where `kfree_skb` has a third argument, the reason (Linux 5.17).
#[unsafe(no_mangle)]
pub(crate) static NPV_DROP_REASON: Global<u32> = Global::new(0);

/// 1 where a loader has linked the call [`netpol_verify_ebpf::settings::KERNEL_CONTEXT_CALL`].
#[unsafe(no_mangle)]
pub(crate) static NPV_KERNEL_CONTEXT: Global<u32> = Global::new(0);

/// Byte offsets in the running kernel's structures, from its BTF: Rust emits no CO-RE relocations.
macro_rules! offsets {
    ($($name:ident),+ $(,)?) => { $(
        #[unsafe(no_mangle)]
        pub(crate) static $name: Global<u32> = Global::new(0);
    )+ };
}

offsets!(
    NPV_SK_BUFF_DEV,
    NPV_SK_BUFF_HEAD,
    NPV_SK_BUFF_LEN,
    NPV_SK_BUFF_TAIL,
    NPV_SK_BUFF_NETWORK_HEADER,
    NPV_SK_BUFF_PROTOCOL,
    NPV_NET_DEVICE_IFINDEX,
    NPV_NET_DEVICE_ND_NET,
    NPV_NET_NET_COOKIE,
);
