//! The programs: maps and entry points, nothing else. They observe; every path of a classifier returns `TCX_NEXT`.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(
    target_arch = "bpf",
    expect(
        unsafe_code,
        reason = "helpers, maps and packets are raw pointers in the kernel"
    )
)]

#[cfg(target_arch = "bpf")]
mod drop;
#[cfg(target_arch = "bpf")]
mod emit;
#[cfg(target_arch = "bpf")]
mod fold;
#[cfg(target_arch = "bpf")]
mod kernel;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod pod;
#[cfg(target_arch = "bpf")]
mod say;

#[cfg(target_arch = "bpf")]
mod entry {
    use aya_ebpf::{
        macros::{btf_tracepoint, classifier},
        programs::{BtfTracePointContext, TcContext},
    };
    use netpol_verify_ebpf::Vantage;

    use crate::{drop, pod};

    /// `TCX_NEXT`, the same number as `TC_ACT_UNSPEC`: the next program decides (include/uapi/linux/bpf.h, Linux 6.6).
    const TCX_NEXT: i32 = -1;

    #[classifier]
    fn pod_egress(ctx: TcContext) -> i32 {
        pod::observe(&ctx, Vantage::PodEgress);
        TCX_NEXT
    }

    #[classifier]
    fn pod_ingress(ctx: TcContext) -> i32 {
        pod::observe(&ctx, Vantage::PodIngress);
        TCX_NEXT
    }

    /// The floor that the benchmarks subtract.
    #[classifier]
    fn nothing(_: TcContext) -> i32 {
        TCX_NEXT
    }

    #[btf_tracepoint(function = "kfree_skb")]
    fn packet_drop(ctx: BtfTracePointContext) -> i32 {
        drop::observe(&ctx);
        0
    }

    /// `bpf_probe_read_kernel` and typed loads of kernel structures ask for a GPL-compatible licence.
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
