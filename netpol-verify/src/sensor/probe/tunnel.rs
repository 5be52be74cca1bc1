//! A probe inside VXLAN, as a pod would make it by hand to pass a node's rules by (RFC 7348).

use std::net::{IpAddr, SocketAddrV4};

use etherparse::PacketBuilder;

use super::packet::{Probe, ProbeError};
use crate::net::{AttemptKey, Protocol, payload_hash};

/// Whom a wrapped probe goes to, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The pod's own address, and a port of ours.
    pub source: SocketAddrV4,
    /// The node's end of the tunnel.
    pub end: SocketAddrV4,
    /// The network's identifier.
    pub network: u32,
    /// The hardware address of the device that unpacks.
    pub device: [u8; 6],
}

/// A wrapped probe.
pub(crate) struct Carried {
    /// The outer packet from its IP header on.
    pub(crate) packet: Vec<u8>,
    /// The outer packet's addresses, for the socket.
    pub(crate) carrier: Probe,
    /// What names the outer packet at every vantage point.
    pub(crate) key: AttemptKey,
}

impl Tunnel {
    /// Wraps a packet that begins with its IP header.
    pub(crate) fn wrap(self, inner: &[u8]) -> Result<Carried, ProbeError> {
        let is_v6 = inner.first().is_some_and(|first| first >> 4 == 6);
        let kind: [u8; 2] = if is_v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let [_, a, b, c] = self.network.to_be_bytes();
        // The flag says that the identifier counts.
        let mut payload = vec![0x08, 0, 0, 0, a, b, c, 0];
        payload.extend(self.device);
        // Whoever sent it: nothing looks at it.
        payload.extend([0x02, 0, 0, 0, 0, 1]);
        payload.extend(kind);
        payload.extend(inner);
        let mut packet = Vec::with_capacity(payload.len() + 28);
        PacketBuilder::ipv4(self.source.ip().octets(), self.end.ip().octets(), 64)
            .udp(self.source.port(), self.end.port())
            .write(&mut packet, &payload)
            .map_err(Box::new)?;
        let key = AttemptKey {
            protocol: Protocol::Udp,
            source: self.source.into(),
            discriminator: payload_hash(&payload),
        };
        let carrier = Probe {
            protocol: Protocol::Udp,
            source: self.source.into(),
            destination: (IpAddr::V4(*self.end.ip()), self.end.port()).into(),
            nonce: 0,
        };
        Ok(Carried { packet, carrier, key })
    }
}

#[cfg(test)]
mod tests {
    use super::Tunnel;

    #[test]
    fn the_inner_packet_is_there_behind_the_headers_of_the_tunnel() {
        let tunnel = Tunnel {
            source: "10.0.0.1:2000".parse().unwrap(),
            end: "10.99.0.1:8472".parse().unwrap(),
            network: 1,
            device: [10, 0x58, 10, 244, 1, 0],
        };
        let inner = [0x45, 1, 2, 3];
        let carried = tunnel.wrap(&inner).unwrap();
        // IPv4, UDP, VXLAN and Ethernet.
        assert_eq!(carried.packet[20 + 8..][..8], [8, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(carried.packet[20 + 8 + 8..][..6], tunnel.device);
        assert_eq!(carried.packet[20 + 8 + 8 + 12..], [8, 0, 0x45, 1, 2, 3]);
        assert_eq!(carried.key.source.to_string(), "10.0.0.1:2000");
    }
}
