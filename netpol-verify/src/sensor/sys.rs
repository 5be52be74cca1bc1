//! The one file of this crate that needs `unsafe`: a socket option nix does not know, and plain-data markers for aya.
#![expect(
    unsafe_code,
    reason = "getsockopt(SO_NETNS_COOKIE) and aya::Pod have no safe form"
)]

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, OwnedFd},
};

use aya::maps::{MapData, RingBuf};
use netpol_verify_ebpf::settings::{Losses, Settings};
use nix::libc;
use tokio::io::unix::AsyncFd;

use crate::net::NetnsCookie;

/// Owners of one descriptor, open and the same until they are dropped.
pub(super) trait OwnsDescriptor: AsRawFd {}
impl OwnsDescriptor for OwnedFd {}
impl OwnsDescriptor for RingBuf<MapData> {}

/// Polls a descriptor by the runtime.
///
/// # Errors
/// The runtime's poller does not take it.
pub(super) fn pollable<T: OwnsDescriptor>(inner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: `OwnsDescriptor` is implemented for owners only: the descriptor stays open while the AsyncFd holds them.
    unsafe { AsyncFd::register(inner) }.map_err(io::Error::from)
}

/// `SO_NETNS_COOKIE`, include/uapi/asm-generic/socket.h since Linux 5.14.
const SO_NETNS_COOKIE: libc::c_int = 71;

/// The cookie of the calling thread's network namespace.
///
/// # Errors
/// No socket can be opened, or the kernel is older than 5.14.
pub fn netns_cookie_here() -> io::Result<NetnsCookie> {
    let socket =
        std::net::UdpSocket::bind("127.0.0.1:0").or_else(|_| std::net::UdpSocket::bind("0.0.0.0:0"))?;
    let mut cookie = MaybeUninit::<u64>::zeroed();
    let mut length: libc::socklen_t = 8;
    // SAFETY: the descriptor is open, the buffer has the eight bytes that `length` tells.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            cookie.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every bit pattern is a u64, and it was zeroed.
    Ok(NetnsCookie(unsafe { cookie.assume_init() }))
}

/// [`Settings`] as a map value.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct SettingsValue(pub(super) Settings);

/// [`Losses`] as a map value.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct LossesValue(pub(super) Losses);

// SAFETY: `repr(C)` integers without implicit padding (32 bytes, asserted where it is defined).
unsafe impl aya::Pod for SettingsValue {}
// SAFETY: `repr(C)`, two integers.
unsafe impl aya::Pod for LossesValue {}
