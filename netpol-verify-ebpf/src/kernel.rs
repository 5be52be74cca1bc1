//! The kernel's own structures, read at offsets that user space took from its BTF.
//!
//! The offsets are read-only globals, so that the verifier knows them as constants and checks each load against the
//! kernel's BTF itself: a load costs a nanosecond, where the helper `bpf_probe_read_kernel` costs 25 to 40.

use core::ffi::c_void;

use netpol_verify_ebpf::settings::KERNEL_CONTEXT_CALL;

use crate::maps::{NPV_NET_DEVICE_IFINDEX, NPV_NET_DEVICE_ND_NET, NPV_NET_NET_COOKIE, NPV_SK_BUFF_DEV};

/// The address of a structure of the kernel whose type the verifier knows.
#[derive(Clone, Copy)]
pub(crate) struct Typed(u64);

impl Typed {
    /// Takes an address that the kernel handed to the program.
    #[inline(always)]
    pub(crate) const fn new(address: u64) -> Self {
        Self(address)
    }

    /// The `sk_buff` behind a classifier's context; only where `NPV_KERNEL_CONTEXT` is 1.
    #[inline(always)]
    pub(crate) fn of_context(context: *mut c_void) -> Self {
        // SAFETY: the loader turns the call into `bpf_cast_to_kern_ctx(void *) -> void *`, which the verifier checks.
        let cast = unsafe {
            core::mem::transmute::<usize, unsafe extern "C" fn(*mut c_void) -> u64>(
                KERNEL_CONTEXT_CALL as usize,
            )
        };
        // SAFETY: the context is valid while the program runs.
        Self(unsafe { cast(context) })
    }

    /// Reads a member. A wrong address reads as zero: the kernel guards such loads (BPF_PROBE_MEM, Linux 5.5).
    #[inline(always)]
    pub(crate) fn member<T: Copy>(self, offset: u32) -> T {
        // SAFETY: the verifier refuses what is no member of the structure's type.
        unsafe { ((self.0 + u64::from(offset)) as *const T).read_volatile() }
    }

    /// As [`Self::member`], for a pointer.
    #[inline(always)]
    pub(crate) fn follow(self, offset: u32) -> Self {
        Self(self.member(offset))
    }

    /// The device of an `sk_buff`.
    #[inline(always)]
    pub(crate) fn device(self) -> Self {
        self.follow(NPV_SK_BUFF_DEV.load())
    }

    /// The cookie of the network namespace of a `net_device`.
    #[inline(always)]
    pub(crate) fn netns_cookie(self) -> u64 {
        self.follow(NPV_NET_DEVICE_ND_NET.load())
            .member(NPV_NET_NET_COOKIE.load())
    }

    /// The index of a `net_device`.
    #[inline(always)]
    pub(crate) fn ifindex(self) -> u32 {
        self.member(NPV_NET_DEVICE_IFINDEX.load())
    }
}
