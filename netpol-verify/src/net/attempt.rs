//! What names one attempt at every vantage point, whatever rewrites its destination on the way.

use std::{hash::Hasher as _, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::Protocol;

/// One attempt to open a connection. The destination is not part of it: DNAT (a Service) changes it, never the source's
/// sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttemptKey {
    /// The protocol.
    pub protocol: Protocol,
    /// Source address and port.
    pub source: SocketAddr,
    /// TCP initial sequence number, SCTP initiate tag, or [`payload_hash`] of a UDP datagram.
    pub discriminator: u32,
}

/// How many bytes of a datagram's payload [`payload_hash`] takes: as many as every vantage point captures, behind
/// Ethernet, a VLAN tag and IPv6.
pub const HASHED_PAYLOAD: usize = 48;

/// Tells datagrams of one socket apart.
#[must_use]
pub fn payload_hash(payload: &[u8]) -> u32 {
    // FNV-1a: stable across processes and versions, as evidence files need; nothing here resists an adversary, who
    // could send two equal datagrams anyway.
    struct Fnv(u64);
    impl std::hash::Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }

        fn write(&mut self, bytes: &[u8]) {
            for &byte in bytes {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write(payload.get(..HASHED_PAYLOAD).unwrap_or(payload));
    let hash = hasher.finish();
    u32::try_from((hash >> 32) ^ (hash & 0xffff_ffff)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::payload_hash;

    #[test]
    fn only_what_every_vantage_point_captures_counts() {
        let mut long = vec![7_u8; 60];
        let hash = payload_hash(&long);
        long[50] = 8;
        assert_eq!(payload_hash(&long), hash);
        long[40] = 8;
        assert_ne!(payload_hash(&long), hash);
        assert_ne!(payload_hash(b""), payload_hash(b"\0"));
    }
}
