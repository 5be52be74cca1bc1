//! The lab's enforcer by TC, as Cilium, Calico and AWS have it: classifiers on the node's end of each pod's link, which drop.
//!
//! This is the virtual cluster's CNI, not the product: it is an object of its own and the sensor never loads it. What the sensor
//! loads is `main.rs`, and that drops nothing.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(
    target_arch = "bpf",
    expect(
        unsafe_code,
        reason = "helpers, maps and packets are raw pointers in the kernel"
    )
)]

#[cfg(target_arch = "bpf")]
mod enforce {
    use core::{
        ffi::{c_long, c_void},
        mem::MaybeUninit,
    };

    use aya_ebpf::{
        EbpfContext as _,
        bindings::{BPF_ANY, TC_ACT_SHOT},
        btf_maps::{Array, HashMap, LruHashMap},
        helpers::generated::{bpf_ktime_get_ns, bpf_loop, bpf_skb_load_bytes},
        macros::{btf_map, classifier},
        programs::TcContext,
    };
    use netpol_verify_ebpf::{
        gate::{
            ACCEPT, DROP, Flow, FlowKey, Gate, GateKey, Packet, RULES as CAPACITY, Read, Rule, Way, read,
        },
        headers::Bytes,
    };

    /// The next program decides (include/uapi/linux/bpf.h, Linux 6.6); where there is none, the packet passes.
    const NEXT: i32 = -1;

    #[btf_map]
    static GATES: HashMap<GateKey, Gate, 4096> = HashMap::new();

    #[btf_map]
    static RULES: Array<Rule, { CAPACITY as usize }> = Array::new();

    #[btf_map]
    static FLOWS: LruHashMap<FlowKey, Flow, 65536> = LruHashMap::new();

    #[classifier]
    fn from_pod(ctx: TcContext) -> i32 {
        verdict(&ctx, Way::Egress)
    }

    #[classifier]
    fn to_pod(ctx: TcContext) -> i32 {
        verdict(&ctx, Way::Ingress)
    }

    /// The packet by the kernel's own reader: its headers may lie in fragments of its buffer.
    struct Loaded<'a>(&'a TcContext);

    impl Bytes for Loaded<'_> {
        #[inline(always)]
        fn window<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
            // Not zeroed first: that would be a loop of its own for the verifier to follow.
            let mut bytes = MaybeUninit::<[u8; N]>::uninit();
            // SAFETY: there is room for N bytes, and the helper checks the packet's end.
            let result = unsafe {
                bpf_skb_load_bytes(
                    self.0.as_ptr().cast(),
                    at as u32,
                    bytes.as_mut_ptr().cast(),
                    N as u32,
                )
            };
            // SAFETY: the helper has written all of them.
            (result == 0).then(|| unsafe { bytes.assume_init() })
        }
    }

    #[inline(always)]
    fn verdict(ctx: &TcContext, way: Way) -> i32 {
        let (packet, quoted_at) = match read(&Loaded(ctx)) {
            Read::Passes => return NEXT,
            Read::Broken => return TC_ACT_SHOT,
            Read::Packet(packet, at) => (packet, at),
        };
        // SAFETY: the context is valid while the program runs.
        let (ifindex, came_by) = unsafe { ((*ctx.skb.skb).ifindex, (*ctx.skb.skb).ingress_ifindex) };
        let key = FlowKey::of(&packet, way, ifindex);
        // SAFETY: it only reads the clock.
        let now = unsafe { bpf_ktime_get_ns() };
        if passes_by_flow(&key, &packet, way, now) || is_about_flow(ctx, &packet, quoted_at, way, ifindex) {
            return NEXT;
        }
        // What came by no interface is the node's own (R21).
        let is_own_node = way as u32 == Way::Ingress as u32 && came_by == 0;
        if !is_own_node && !gate_accepts(&packet, way, ifindex) {
            return TC_ACT_SHOT;
        }
        let flow = Flow {
            seen_ns: now,
            opened: way as u32,
            answered: 0,
        };
        // A full table makes room by itself.
        let _ = FLOWS.insert(&key, &flow, u64::from(BPF_ANY));
        NEXT
    }

    /// Whether the packet belongs to what was let through, and notes that it came.
    #[inline(always)]
    fn passes_by_flow(key: &FlowKey, packet: &Packet, way: Way, now: u64) -> bool {
        let Some(flow) = FLOWS.get_ptr_mut(key) else {
            return false;
        };
        // SAFETY: the kernel keeps the value while the program runs; two processors may both write, and both write what is so.
        let flow = unsafe { &mut *flow };
        let covers = flow.covers(packet, way, now);
        if covers {
            flow.seen_ns = now;
            if flow.opened != way as u32 {
                flow.answered = 1;
            }
        }
        covers
    }

    /// Whether the packet is an ICMP error about something that was let through.
    #[inline(always)]
    fn is_about_flow(ctx: &TcContext, packet: &Packet, at: usize, way: Way, ifindex: u32) -> bool {
        if packet.is_error == 0 {
            return false;
        }
        let quoted = if packet.family == 4 {
            Packet::v4(&Loaded(ctx), at)
        } else {
            Packet::v6(&Loaded(ctx), at)
        };
        let Read::Packet(quoted, _) = quoted else {
            return false;
        };
        // It was quoted on its way in the other direction.
        let went = match way {
            Way::Ingress => Way::Egress,
            Way::Egress => Way::Ingress,
        };
        FLOWS.get_ptr_mut(&FlowKey::of(&quoted, went, ifindex)).is_some()
    }

    /// Where a walk through a gate's rules stands.
    struct Walk {
        packet: Packet,
        way: Way,
        /// The gate's first rule.
        first: u32,
        /// Behind its last one.
        end: u32,
        /// The rule that is asked next.
        at: u32,
        verdict: u32,
    }

    /// Keeps a place inside the map. Without it the verifier would tell each step of a walk from every other.
    const PLACE: u32 = CAPACITY - 1;

    #[inline(always)]
    fn gate_accepts(packet: &Packet, way: Way, ifindex: u32) -> bool {
        let key = GateKey {
            ifindex,
            way: way as u32,
        };
        let Some(gate) = GATES.get_ptr_mut(&key) else {
            return true;
        };
        // SAFETY: the kernel keeps the value while the program runs.
        let Gate { first, count } = unsafe { *gate };
        let mut walk = Walk {
            packet: *packet,
            way,
            first,
            end: first.wrapping_add(count),
            at: first & PLACE,
            // A list that ends without a word refuses.
            verdict: DROP,
        };
        // SAFETY: the callback has the signature that the helper calls, and `walk` outlives the call.
        unsafe {
            bpf_loop(CAPACITY, step as *mut c_void, (&raw mut walk).cast(), 0);
        }
        walk.verdict == ACCEPT
    }

    /// Asks one rule; 1 ends the walk.
    #[inline(never)]
    extern "C" fn step(_: u32, walk: *mut c_void) -> c_long {
        // SAFETY: it is what `gate_accepts` gave.
        let walk = unsafe { &mut *walk.cast::<Walk>() };
        if walk.at >= walk.end {
            return 1;
        }
        let Some(rule) = RULES.get(walk.at) else {
            return 1;
        };
        if !rule.matches(&walk.packet, walk.way) {
            walk.at = walk.at.wrapping_add(1) & PLACE;
            return 0;
        }
        if rule.next >= DROP {
            walk.verdict = rule.next;
            return 1;
        }
        walk.at = walk.first.wrapping_add(rule.next) & PLACE;
        0
    }

    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        // The verifier proves that this cannot be reached.
        loop {}
    }
}

#[cfg(not(target_arch = "bpf"))]
fn main() {
    eprintln!("These programs run in the kernel; `cargo xtask build-ebpf` builds them.");
}
