//! The one file of this crate that needs `unsafe`: handing descriptors to the runtime, and plain-data markers for aya.
#![expect(unsafe_code, reason = "AsyncFd::register and aya::Pod have no safe form")]

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use aya::maps::{MapData, RingBuf};
use netpol_verify_ebpf::settings::{Losses, Settings};
use tokio::io::unix::AsyncFd;

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
