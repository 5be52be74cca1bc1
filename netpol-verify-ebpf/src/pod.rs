//! What leaves and reaches a pod: the classifiers on its own interface.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_probe_read_kernel, bpf_skb_load_bytes},
    programs::TcContext,
};
use netpol_verify_ebpf::{
    SNAP_LENGTH, Vantage,
    headers::{Bytes, ETHERNET, IPV4, IPV6, Look, look_ethernet, look_network},
    record::flags,
    settings::counter,
};

use crate::{
    emit::{Sight, addresses, count, emit},
    kernel::Typed,
    maps::{NPV_KERNEL_CONTEXT, NPV_NET_DEVICE_ND_NET, NPV_NET_NET_COOKIE, NPV_SK_BUFF_DEV},
    say::say,
};

/// The packet's linear part by direct access: a helper call for each header costs more than the whole look.
struct Direct {
    start: usize,
    end: usize,
}

impl Bytes for Direct {
    #[inline(always)]
    fn window<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        // The mask tells the verifier the bound; no header that is followed starts beyond it. A window has two bytes
        // at least: `p + 1 > end` is compiled to `end <= p`, which tells the verifier nothing
        // (find_good_pkt_pointers, Linux 6.18).
        const { assert!(N >= 2) };
        let window = self.start + (at & 0xfff);
        if window + N > self.end {
            return None;
        }
        // SAFETY: just checked to lie inside the packet; packets are read unaligned.
        Some(unsafe { (window as *const [u8; N]).read_unaligned() })
    }
}

/// The cookie of the network namespace of the packet's device.
#[inline(always)]
fn netns_cookie(ctx: &TcContext) -> u64 {
    if NPV_KERNEL_CONTEXT.load() != 0 {
        return Typed::of_context(ctx.as_ptr()).device().netns_cookie();
    }
    let device = probe_read(ctx.as_ptr() as u64, NPV_SK_BUFF_DEV.load());
    let net = probe_read(device, NPV_NET_DEVICE_ND_NET.load());
    probe_read(net, NPV_NET_NET_COOKIE.load())
}

/// Reads a word at an offset from a kernel pointer; a wrong pointer reads as zero.
#[inline(always)]
fn probe_read(base: u64, offset: u32) -> u64 {
    let mut value = 0_u64;
    // SAFETY: the helper checks the address itself and leaves zeroes where it cannot read.
    unsafe {
        bpf_probe_read_kernel((&raw mut value).cast(), 8, (base + u64::from(offset)) as *const _);
    }
    value
}

/// Looks at a packet and records it if it is of a kind that is recorded.
#[inline(always)]
pub(crate) fn observe(ctx: &TcContext, vantage: Vantage) {
    let direct = Direct {
        start: ctx.data(),
        end: ctx.data_end(),
    };
    let skb = ctx.skb.skb;
    // SAFETY: the context is valid while the program runs.
    let protocol = u16::from_be(unsafe { (*skb).protocol } as u16);
    // Devices without a link header (tun, ipip) start with the network header; an Ethernet frame repeats the EtherType.
    let Some(header) = direct.window::<ETHERNET>(0) else {
        return count(counter::UNPARSED, 1);
    };
    let link =
        u16::from_be_bytes([header[12], header[13]]) == protocol || (protocol != IPV4 && protocol != IPV6);
    let look = if link {
        look_ethernet(&direct)
    } else {
        look_network(&direct, 0, protocol)
    };
    let kind = match look {
        Look::Kind(kind) => kind,
        Look::Other => return,
        Look::Fragment => return count(counter::FRAGMENTS, 1),
        Look::Broken => {
            say!(
                ctx,
                "headers of a packet of protocol {:x} cannot be followed",
                protocol
            );
            return count(counter::UNPARSED, 1);
        }
    };
    let Some(addresses) = addresses(&direct, &kind) else {
        return;
    };
    // SAFETY: the context is valid while the program runs.
    let (ifindex, packet_length, vlan, vlan_tci, packet_type) = unsafe {
        (
            (*skb).ifindex,
            (*skb).len,
            (*skb).vlan_present,
            (*skb).vlan_tci,
            (*skb).pkt_type,
        )
    };
    say!(
        ctx,
        "a packet of class {} at vantage {} of interface {}",
        kind.class as u8,
        vantage as u8,
        ifindex
    );
    let sight = Sight {
        vantage,
        // Not by bpf_get_netns_cookie: for a packet without a socket (all that arrives) it answers with the first
        // namespace's cookie (net/core/filter.c, Linux 6.15 to 6.18; measured).
        netns_cookie: netns_cookie(ctx),
        ifindex,
        packet_length,
        protocol,
        vlan_tci: vlan_tci as u16,
        flags: if link { flags::LINK_HEADER } else { 0 } | if vlan != 0 { flags::VLAN } else { 0 },
        packet_type: packet_type as u8,
        drop_reason: 0,
        drop_location: 0,
        bucket_source: 0,
    };
    emit(&sight, &kind, addresses, |to| {
        let length = packet_length as usize;
        let length = if length > SNAP_LENGTH { SNAP_LENGTH } else { length };
        // The verifier wants to see that the length is not zero.
        if length < ETHERNET {
            return 0;
        }
        // SAFETY: `to` has room for SNAP_LENGTH bytes.
        let result = unsafe { bpf_skb_load_bytes(ctx.as_ptr().cast(), 0, to.cast(), length as u32) };
        if result == 0 { length } else { 0 }
    });
}
