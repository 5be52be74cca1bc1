//! The raw sockets of one pod: opened inside its namespace once, used from anywhere.

use std::{
    io,
    net::{IpAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, sendto, socket,
};

use super::packet::{Probe, ProbeError};
use crate::{
    net::{Clock, KernelTime, NetnsCookie, netns_cookie_here},
    sensor::inside::{NetnsPath, OpenNetns},
};

/// Sends probes from one pod. Nothing is bound and nothing listens: the pod's kernel resets what answers.
pub struct ProbeSocket {
    v4: OwnedFd,
    v6: Option<OwnedFd>,
    netns: NetnsCookie,
}

/// When a probe was handed to the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Just before the system call.
    pub at: KernelTime,
}

impl ProbeSocket {
    /// Opens the sockets inside a pod's namespace. Without IPv6 in the kernel only IPv4 probes can be sent.
    ///
    /// # Errors
    /// The namespace cannot be entered, or raw sockets may not be opened.
    pub fn open(netns: &NetnsPath) -> Result<Self, ProbeError> {
        Self::open_in(&OpenNetns::open(netns)?)
    }

    /// As [`Self::open`], in a namespace that is held open.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(netns: &OpenNetns) -> Result<Self, ProbeError> {
        // IPPROTO_RAW sockets take packets with their IP header (raw(7), ipv6(7) since Linux 4.15).
        let raw = |family| {
            socket(
                family,
                SockType::Raw,
                SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
                SockProtocol::Raw,
            )
        };
        let opened = netns.enter(|| {
            Ok::<_, nix::Error>((
                raw(AddressFamily::Inet)?,
                raw(AddressFamily::Inet6).ok(),
                netns_cookie_here()
                    .map_err(|error| error.raw_os_error().map_or(nix::Error::EIO, nix::Error::from_raw))?,
            ))
        })?;
        let (v4, v6, netns) = opened.map_err(|source| ProbeError::Socket {
            netns: netns.path().name(),
            source,
        })?;
        Ok(Self { v4, v6, netns })
    }

    /// The namespace it sends from.
    #[must_use]
    pub const fn netns(&self) -> NetnsCookie {
        self.netns
    }

    /// Sends one probe (or the same again: a retransmission). The whole way through the node's kernel usually happens
    /// inside this call.
    ///
    /// # Errors
    /// The kernel refuses: no route, address not there, buffer full. The probe did not leave.
    pub fn send(&self, probe: &Probe) -> Result<Sent, ProbeError> {
        let packet = probe.packet()?;
        self.send_packet(probe, &packet)
    }

    /// As [`Self::send`], with the bytes made before, so that a burst is nothing but system calls.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_packet(&self, probe: &Probe, packet: &[u8]) -> Result<Sent, ProbeError> {
        let refused = |source| ProbeError::Send {
            from: probe.source,
            to: probe.destination,
            source,
        };
        let at = Clock.now();
        match probe.destination.ip() {
            IpAddr::V4(address) => {
                let to = SockaddrIn::from(SocketAddrV4::new(address, 0));
                sendto(self.v4.as_raw_fd(), packet, &to, MsgFlags::empty())
            }
            IpAddr::V6(address) => {
                // The port must be zero: a raw IPv6 socket takes it for a protocol number (raw(7) bugs).
                let to = SockaddrIn6::from(SocketAddrV6::new(address, 0, 0, 0));
                let socket = self
                    .v6
                    .as_ref()
                    .ok_or(nix::Error::EAFNOSUPPORT)
                    .map_err(refused)?;
                sendto(socket.as_raw_fd(), packet, &to, MsgFlags::empty())
            }
        }
        .map_err(refused)?;
        Ok(Sent { at })
    }
}

impl From<ProbeError> for io::Error {
    fn from(error: ProbeError) -> Self {
        Self::other(error)
    }
}
