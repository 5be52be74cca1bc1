//! One probe: what names it, and its bytes on the wire.

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpNumber, PacketBuilder, PacketBuilderStep, err::packet::BuildWriteError, ip_number};

use super::{dns, sctp};
use crate::net::{AttemptKey, Protocol, payload_hash};

/// Routers on the way are few; a loop ends soon.
const TTL: u8 = 64;
/// The window a SYN offers; the connection is never used.
const WINDOW: u16 = 64_240;
/// DNS, where a datagram must be a question to be answered.
const DNS: u16 = 53;

/// A probe cannot be made or sent.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Source and destination are of different families.
    #[error("a probe from {from} to {to} would change the address family")]
    FamilyMismatch {
        /// The source.
        from: IpAddr,
        /// The destination.
        to: IpAddr,
    },
    /// The packet cannot be built.
    #[error("building the probe packet: {0}")]
    Build(#[from] Box<BuildWriteError>),
    /// The raw socket cannot be opened in the pod's namespace.
    #[error("opening a raw socket in {netns}: {source}; this needs CAP_NET_RAW there")]
    Socket {
        /// The namespace.
        netns: String,
        /// Why not.
        source: nix::Error,
    },
    /// The namespace cannot be entered.
    #[error(transparent)]
    Inside(#[from] super::super::inside::InsideError),
    /// The kernel refused to send: the probe never left.
    #[error("sending from {from} to {to}: {source}; the probe did not leave the pod")]
    Send {
        /// The source.
        from: SocketAddr,
        /// The destination.
        to: SocketAddr,
        /// Why.
        source: nix::Error,
    },
}

/// One attempt to be made. Its retransmission is the same packet again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The protocol.
    pub protocol: Protocol,
    /// The pod's own address, and a port of ours.
    pub source: SocketAddr,
    /// Whom it is for.
    pub destination: SocketAddr,
    /// Initial sequence number, initiate tag, or the number in a datagram.
    pub nonce: u32,
}

impl Probe {
    /// What names the attempt at every vantage point.
    #[must_use]
    pub fn key(&self) -> AttemptKey {
        let discriminator = match self.protocol {
            Protocol::Tcp | Protocol::Sctp => self.nonce,
            Protocol::Udp => payload_hash(&self.datagram()),
        };
        AttemptKey {
            protocol: self.protocol,
            source: self.source,
            discriminator,
        }
    }

    fn datagram(&self) -> Vec<u8> {
        if self.destination.port() == DNS {
            dns::question(self.nonce)
        } else {
            let mut payload = b"netpol-verify probe ".to_vec();
            payload.extend(self.nonce.to_be_bytes());
            payload
        }
    }

    /// The packet from its IP header on.
    ///
    /// # Errors
    /// The families differ.
    pub fn packet(&self) -> Result<Vec<u8>, ProbeError> {
        let builder = match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), TTL),
            (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), TTL),
            (from, to) => return Err(ProbeError::FamilyMismatch { from, to }),
        };
        let (from, to) = (self.source.port(), self.destination.port());
        let mut bytes = Vec::with_capacity(128);
        match self.protocol {
            Protocol::Tcp => builder
                .tcp(from, to, self.nonce, WINDOW)
                .syn()
                .write(&mut bytes, &[]),
            Protocol::Udp => builder.udp(from, to).write(&mut bytes, &self.datagram()),
            Protocol::Sctp => write_raw(
                builder,
                ip_number::SCTP,
                &mut bytes,
                &sctp::init(from, to, self.nonce),
            ),
        }
        .map_err(Box::new)?;
        Ok(bytes)
    }
}

fn write_raw(
    builder: PacketBuilderStep<etherparse::IpHeaders>,
    protocol: IpNumber,
    bytes: &mut Vec<u8>,
    payload: &[u8],
) -> Result<(), BuildWriteError> {
    builder.write(bytes, protocol, payload)
}

#[cfg(test)]
mod tests {
    use netpol_verify_ebpf::headers::{Class, IPV4, IPV6, Look, look_network};

    use super::{Probe, ProbeError};
    use crate::net::Protocol;

    fn probe(protocol: Protocol, source: &str, destination: &str) -> Probe {
        Probe {
            protocol,
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            nonce: 0xdead_beef,
        }
    }

    #[test]
    fn the_kernel_half_sees_every_probe_as_a_first_packet() {
        for (source, destination, kind) in [
            ("10.0.0.1:2000", "10.0.0.2:81", IPV4),
            ("[fd00::1]:2000", "[fd00::2]:81", IPV6),
        ] {
            for (protocol, class) in [
                (Protocol::Tcp, Class::Syn),
                (Protocol::Udp, Class::Datagram),
                (Protocol::Sctp, Class::Init),
            ] {
                let bytes = probe(protocol, source, destination).packet().unwrap();
                let Look::Kind(found) = look_network(&bytes[..], 0, kind) else {
                    panic!("{protocol} {source}")
                };
                assert_eq!(found.class, class);
                assert_eq!(found.service, 81);
            }
        }
    }

    #[test]
    fn two_datagrams_of_one_socket_are_told_apart() {
        let one = probe(Protocol::Udp, "10.0.0.1:2000", "10.0.0.2:53");
        let two = Probe {
            nonce: 7,
            ..one.clone()
        };
        assert_ne!(one.key(), two.key());
        assert_eq!(one.key(), one.clone().key());
    }

    #[test]
    fn a_probe_cannot_change_family() {
        let mixed = probe(Protocol::Tcp, "10.0.0.1:1", "[fd00::2]:80");
        assert!(matches!(mixed.packet(), Err(ProbeError::FamilyMismatch { .. })));
    }
}
