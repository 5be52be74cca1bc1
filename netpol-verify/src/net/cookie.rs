//! The cookie of the calling thread's network namespace.

use std::{io, net::UdpSocket};

use nix::{getsockopt_impl, libc, sockopt_impl, sys::socket::getsockopt};

use super::NetnsCookie;

sockopt_impl!(
    /// The identity of the socket's network namespace (Linux 5.14, `net/core/sock.c`).
    CookieOption,
    GetOnly,
    libc::SOL_SOCKET,
    libc::SO_NETNS_COOKIE,
    u64
);

/// The cookie of the calling thread's network namespace.
///
/// # Errors
/// No socket can be opened, or the kernel is older than 5.14.
pub fn netns_cookie_here() -> io::Result<NetnsCookie> {
    // Any address will do, also while `lo` is down.
    Ok(NetnsCookie(getsockopt(
        &UdpSocket::bind("0.0.0.0:0")?,
        CookieOption,
    )?))
}
