//! What an enforcer needs to know of a packet.

use super::transport;
use crate::headers::{Bytes, ETHERNET, IPV4, IPV6};

/// A packet's ends. Addresses are numbers of 128 bits in two words; an IPv4 address is the first 32 of them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Who sends it.
    pub source: [u64; 2],
    /// Whom it is for.
    pub destination: [u64; 2],
    /// The sender's port. An echo has its identifier in both ports, and every other protocol zeroes.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// IP protocol number.
    pub transport: u8,
    /// 4 or 6.
    pub family: u8,
    /// 1 where it opens a connection: a SYN without ACK, or an INIT.
    pub opens: u8,
    /// 1 where it is an ICMP error; the packet it is about follows it.
    pub is_error: u8,
}

/// What a look at a packet gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Nothing that policies speak about: ARP, neighbour discovery, multicast listeners, later fragments, which nobody can
    /// put together without the first one.
    Passes,
    /// A packet, and of an ICMP error where the packet that it is about starts.
    Packet(Packet, usize),
    /// It cannot be followed.
    Broken,
}

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Looks at a packet that starts with an Ethernet header. The lab's links carry no VLAN tags.
#[inline(always)]
pub fn read<B: Bytes + ?Sized>(bytes: &B) -> Read {
    let Some(header) = bytes.window::<ETHERNET>(0) else {
        return Read::Broken;
    };
    match u16::from_be_bytes([header[12], header[13]]) {
        IPV4 => Packet::v4(bytes, ETHERNET),
        IPV6 => Packet::v6(bytes, ETHERNET),
        _ => Read::Passes,
    }
}

impl Packet {
    /// Reads an IPv4 packet.
    #[inline(always)]
    pub fn v4<B: Bytes + ?Sized>(bytes: &B, at: usize) -> Read {
        let Some(header) = bytes.window::<20>(at) else {
            return Read::Broken;
        };
        let length = ((header[0] & 0x0f) as usize) << 2;
        if header[0] >> 4 != 4 || length < 20 {
            return Read::Broken;
        }
        if (header[6] & 0x1f) | header[7] != 0 {
            return Read::Passes;
        }
        let address = |at: usize| {
            let word = u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            [u64::from(word) << 32, 0]
        };
        let packet = Self {
            source: address(12),
            destination: address(16),
            transport: header[9],
            family: 4,
            ..Self::default()
        };
        packet.with_transport(bytes, at + length)
    }

    /// Reads an IPv6 packet.
    #[inline(always)]
    pub fn v6<B: Bytes + ?Sized>(bytes: &B, at: usize) -> Read {
        let Some(header) = bytes.window::<40>(at) else {
            return Read::Broken;
        };
        let mut next = header[6];
        let mut behind = at + 40;
        // As in `headers`: four steps hold every chain a host sends on purpose.
        for _ in 0..4 {
            if !matches!(next, 0 | 43 | 44 | 60) {
                break;
            }
            let Some(extension) = bytes.window::<8>(behind) else {
                return Read::Broken;
            };
            if next == 44 {
                if extension[2] | (extension[3] & 0xf8) != 0 {
                    return Read::Passes;
                }
                behind += 8;
            } else {
                behind += (extension[1] as usize + 1) << 3;
            }
            next = extension[0];
        }
        if matches!(next, 0 | 43 | 44 | 60) {
            return Read::Broken;
        }
        let word = |at: usize| {
            u64::from_be_bytes([
                header[at],
                header[at + 1],
                header[at + 2],
                header[at + 3],
                header[at + 4],
                header[at + 5],
                header[at + 6],
                header[at + 7],
            ])
        };
        let packet = Self {
            source: [word(8), word(16)],
            destination: [word(24), word(32)],
            transport: next,
            family: 6,
            ..Self::default()
        };
        packet.with_transport(bytes, behind)
    }

    #[inline(always)]
    fn with_transport<B: Bytes + ?Sized>(mut self, bytes: &B, at: usize) -> Read {
        let has_ports = matches!(self.transport, transport::TCP | transport::UDP | transport::SCTP);
        let is_icmp = self.transport == if self.family == 4 { ICMP } else { ICMPV6 };
        if !has_ports && !is_icmp {
            return Read::Packet(self, 0);
        }
        // An ICMP error quotes eight bytes of its packet's transport at least (RFC 792).
        let Some(header) = bytes.window::<8>(at) else {
            return Read::Broken;
        };
        if has_ports {
            self.source_port = u16::from_be_bytes([header[0], header[1]]);
            self.destination_port = u16::from_be_bytes([header[2], header[3]]);
            self.opens = u8::from(match self.transport {
                // SYN without ACK; without flags (an error's quotation) it opens nothing.
                transport::TCP => bytes
                    .window::<2>(at + 12)
                    .is_some_and(|flags| flags[1] & 0x12 == 0x02),
                // The first chunk is an INIT.
                transport::SCTP => bytes.window::<2>(at + 12).is_some_and(|chunk| chunk[0] == 1),
                _ => false,
            });
            return Read::Packet(self, 0);
        }
        let (echoes, errors, passing) = if self.family == 4 {
            (
                matches!(header[0], 0 | 8),
                matches!(header[0], 3 | 11 | 12),
                false,
            )
        } else {
            // Listeners (RFC 3810, 5) and neighbours (RFC 4861, 4).
            let passing = matches!(header[0], 130..=137 | 143);
            (
                matches!(header[0], 128 | 129),
                matches!(header[0], 1..=4),
                passing,
            )
        };
        if passing {
            return Read::Passes;
        }
        if echoes {
            self.source_port = u16::from_be_bytes([header[4], header[5]]);
            self.destination_port = self.source_port;
        }
        self.is_error = u8::from(errors);
        Read::Packet(self, at + 8)
    }
}
