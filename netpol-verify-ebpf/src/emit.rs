//! From a look at the headers to a record in the ring, every loss on the way counted.

use aya_ebpf::{bindings::BPF_RB_NO_WAKEUP, helpers::generated::bpf_ktime_get_ns};
use netpol_verify_ebpf::{
    ABI_VERSION, Record, RecordHeader, SNAP_LENGTH, Vantage,
    headers::{Bytes, Kind},
    settings::{Losses, Settings, counter},
};

use crate::{
    fold,
    maps::{BUCKETS, BucketKey, COUNTERS, FoldKey, LOSSES, RECORDS, SETTINGS},
};

/// What a vantage point knows of a packet besides its bytes.
pub(crate) struct Sight {
    pub(crate) vantage: Vantage,
    pub(crate) netns_cookie: u64,
    pub(crate) ifindex: u32,
    pub(crate) packet_length: u32,
    pub(crate) protocol: u16,
    pub(crate) vlan_tci: u16,
    pub(crate) flags: u8,
    pub(crate) packet_type: u8,
    pub(crate) drop_reason: u32,
    pub(crate) drop_location: u64,
    /// Keys the token bucket beside the namespace; 0 where the namespace is the pod's own.
    pub(crate) bucket_source: u64,
}

/// Adds to one of this CPU's counters.
#[inline(always)]
pub(crate) fn count(index: u32, by: u64) {
    if let Some(slot) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: the slot belongs to this CPU, and a program is not preempted by itself on it.
        unsafe { *slot += by };
    }
}

/// The source and destination address as four words, for keys that are compared and never shown.
#[inline(always)]
pub(crate) fn addresses<B: Bytes>(bytes: &B, kind: &Kind) -> Option<([u64; 2], [u64; 2])> {
    let word = |at: &[u8; 8]| u64::from_ne_bytes(*at);
    if kind.is_v6 {
        let pair = bytes.window::<32>(kind.network + 8)?;
        let (source, destination) = (pair.first_chunk::<16>()?, pair.last_chunk::<16>()?);
        Some((
            [word(source.first_chunk()?), word(source.last_chunk()?)],
            [word(destination.first_chunk()?), word(destination.last_chunk()?)],
        ))
    } else {
        let both = word(&bytes.window::<8>(kind.network + 12)?);
        Some(([both & 0xffff_ffff, 0], [both >> 32, 0]))
    }
}

/// Writes the record, or counts why not. `fill` copies the packet's first bytes and says how many.
#[inline(always)]
pub(crate) fn emit(
    sight: &Sight,
    kind: &Kind,
    addresses: ([u64; 2], [u64; 2]),
    fill: impl FnOnce(*mut u8) -> usize,
) {
    count(counter::SEEN, 1);
    let Some(settings) = SETTINGS.get(0) else { return };
    // SAFETY: no arguments, no failure.
    let now = unsafe { bpf_ktime_get_ns() };
    let mut folded = 0;
    if settings.fold_window_ns != 0 {
        let key = FoldKey {
            netns_cookie: sight.netns_cookie,
            source: addresses.0,
            destination: addresses.1,
            service: kind.service,
            transport: kind.transport,
            class: kind.class as u8,
            vantage: sight.vantage as u32,
        };
        match fold::fold(&key, now, settings.fold_window_ns) {
            Some(earlier) => folded = earlier,
            None => return count(counter::FOLDED, 1),
        }
    }
    if settings.bucket_interval_ns != 0 && !take_token(sight, settings, now) {
        count(counter::THROTTLED, 1);
        return lose(sight.netns_cookie, false);
    }
    let Some(mut entry) = RECORDS.reserve_untyped::<Record>(0) else {
        count(counter::RING_FULL, 1);
        return lose(sight.netns_cookie, true);
    };
    let record: *mut Record = entry.as_mut_ptr();
    zero(record);
    // SAFETY: the reservation holds a whole record and is ours until it is submitted.
    unsafe {
        let captured = fill((&raw mut (*record).packet).cast());
        (*record).header = RecordHeader {
            time: now,
            netns_cookie: sight.netns_cookie,
            drop_location: sight.drop_location,
            drop_reason: sight.drop_reason,
            ifindex: sight.ifindex,
            packet_length: sight.packet_length,
            folded: folded as u32,
            protocol: sight.protocol,
            captured: captured as u16,
            vlan_tci: sight.vlan_tci,
            vantage: sight.vantage as u8,
            flags: sight.flags,
            packet_type: sight.packet_type,
            class: kind.class as u8,
            abi: ABI_VERSION as u16,
            reserved: 0,
        };
    }
    entry.submit(if settings.wakeup == 0 {
        u64::from(BPF_RB_NO_WAKEUP)
    } else {
        0
    });
    count(counter::RECORDED, 1);
    if folded != 0 {
        count(counter::FOLDED_CARRIED, folded);
    }
}

/// Zeroes the packet bytes. Word by word and volatile, or the compiler makes a call of it: its `memset` for BPF is a loop
/// over bytes, which costs 40 ns.
#[inline(always)]
fn zero(record: *mut Record) {
    const WORDS: usize = SNAP_LENGTH / 8;
    // SAFETY: the reservation holds a whole record, whose alignment is eight, as is the header's size.
    let packet = unsafe { (&raw mut (*record).packet).cast::<u64>() };
    for word in 0..WORDS {
        // SAFETY: inside the packet bytes.
        unsafe { packet.add(word).write_volatile(0) };
    }
}

/// Takes a token from the pod's bucket. Two CPUs at once may take one for the price of one: the bound is soft by as
/// many records as there are CPUs.
#[inline(always)]
fn take_token(sight: &Sight, settings: &Settings, now: u64) -> bool {
    let key = BucketKey {
        netns_cookie: sight.netns_cookie,
        source: sight.bucket_source,
    };
    let Some(due) = BUCKETS.get_ptr_mut(key) else {
        let _ = BUCKETS.insert(key, now + settings.bucket_interval_ns, 0);
        return true;
    };
    // SAFETY: a value of the map stays readable until this program ends.
    let saved = unsafe { *due };
    let base = if saved > now { saved } else { now };
    if base - now > settings.bucket_burst_ns {
        return false;
    }
    // SAFETY: as above; the write is one aligned word.
    unsafe { *due = base + settings.bucket_interval_ns };
    true
}

/// Books a loss to the namespace it happened in.
#[inline(always)]
fn lose(netns_cookie: u64, ring_full: bool) {
    if LOSSES.get_ptr_mut(netns_cookie).is_none() {
        // Somebody else may have inserted it meanwhile: BPF_NOEXIST (1) keeps theirs.
        let _ = LOSSES.insert(netns_cookie, Losses::default(), 1);
    }
    let Some(losses) = LOSSES.get_ptr_mut(netns_cookie) else {
        return count(counter::UNATTRIBUTED, 1);
    };
    // SAFETY: the value is this CPU's own and stays readable until this program ends.
    unsafe {
        if ring_full {
            (*losses).ring_full += 1;
        } else {
            (*losses).throttled += 1;
        }
    }
}
