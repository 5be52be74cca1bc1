//! What the kernel frees undelivered, with its reason and place: `tp_btf/kfree_skb`.

use aya_ebpf::{helpers::generated::bpf_probe_read_kernel, programs::BtfTracePointContext};
use netpol_verify_ebpf::{
    SNAP_LENGTH, Vantage,
    headers::{Bytes, IPV4, IPV6, Look, look_network},
    settings::counter,
};

use crate::{
    emit::{Sight, addresses, count, emit},
    kernel::Typed,
    maps::{
        HEAD, NPV_DROP_REASON, NPV_SK_BUFF_HEAD, NPV_SK_BUFF_LEN, NPV_SK_BUFF_NETWORK_HEADER,
        NPV_SK_BUFF_PROTOCOL, NPV_SK_BUFF_TAIL,
    },
    say::say,
};

/// The copied head of a packet. Bytes after `length` are not the packet's.
struct Head {
    bytes: *const [u8; SNAP_LENGTH],
    length: usize,
}

impl Bytes for Head {
    #[inline(always)]
    fn window<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        if at > SNAP_LENGTH - N || at + N > self.length {
            return None;
        }
        // SAFETY: the map's value is SNAP_LENGTH long and the window was just checked to lie inside it.
        Some(unsafe { self.bytes.cast::<u8>().add(at).cast::<[u8; N]>().read_unaligned() })
    }
}

/// Records a packet that is being freed if it is of a kind that is recorded.
#[inline(always)]
pub(crate) fn observe(ctx: &BtfTracePointContext) {
    let skb = Typed::new(ctx.arg::<*const u8>(0) as u64);
    let location: u64 = ctx.arg::<*const u8>(1) as u64;
    let drop_reason = if NPV_DROP_REASON.load() != 0 {
        ctx.arg::<u64>(2) as u32
    } else {
        0
    };
    let protocol = u16::from_be(skb.member(NPV_SK_BUFF_PROTOCOL.load()));
    if protocol != IPV4 && protocol != IPV6 {
        return;
    }
    let Some(head) = HEAD.get_ptr_mut(0) else { return };
    let network = u32::from(skb.member::<u16>(NPV_SK_BUFF_NETWORK_HEADER.load()));
    // `tail` counts from `head`, as `network_header` does (NET_SKBUFF_DATA_USES_OFFSET, every 64-bit kernel).
    let tail: u32 = skb.member(NPV_SK_BUFF_TAIL.load());
    if tail <= network {
        return count(counter::UNPARSED, 1);
    }
    let linear = tail - network;
    let length = if linear > SNAP_LENGTH as u32 {
        SNAP_LENGTH as u32
    } else {
        linear
    };
    let start: u64 = skb.member(NPV_SK_BUFF_HEAD.load());
    // SAFETY: the map's value is SNAP_LENGTH long and the length was just bounded; the helper checks the source.
    let result =
        unsafe { bpf_probe_read_kernel(head.cast(), length, (start + u64::from(network)) as *const _) };
    if result != 0 {
        return count(counter::UNPARSED, 1);
    }
    let bytes = Head {
        bytes: head.cast_const(),
        length: length as usize,
    };
    let kind = match look_network(&bytes, 0, protocol) {
        Look::Kind(kind) => kind,
        Look::Other => return,
        Look::Fragment => return count(counter::FRAGMENTS, 1),
        Look::Broken => {
            say!(
                ctx,
                "headers of a dropped packet of protocol {:x} cannot be followed",
                protocol
            );
            return count(counter::UNPARSED, 1);
        }
    };
    let Some(addresses) = addresses(&bytes, &kind) else {
        return;
    };
    // Where a packet has no device (any more) both read as zero.
    let device = skb.device();
    let sight = Sight {
        vantage: Vantage::Drop,
        netns_cookie: device.netns_cookie(),
        ifindex: device.ifindex(),
        packet_length: skb.member(NPV_SK_BUFF_LEN.load()),
        protocol,
        vlan_tci: 0,
        flags: 0,
        packet_type: 0,
        drop_reason,
        drop_location: location,
        bucket_source: addresses.0[0] ^ addresses.0[1].rotate_left(1),
    };
    emit(&sight, &kind, addresses, |to| {
        // SAFETY: both are SNAP_LENGTH long and the length was bounded above.
        let result = unsafe { bpf_probe_read_kernel(to.cast(), length, head.cast_const().cast()) };
        if result == 0 { length as usize } else { 0 }
    });
}
