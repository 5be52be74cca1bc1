//! What kind of packet it is, read from hostile bytes: bounded steps, no loop over options, never past the end.
//!
//! One reading for both sides: the programs run it over a packet in the kernel, the tests over bytes.

/// Bytes that may end anywhere, read one window at a time: one check, then offsets that are constants. The verifier
/// follows exactly that, and nothing cleverer.
pub trait Bytes {
    /// The `N` bytes from an offset on, or `None` when they are not all there.
    fn window<const N: usize>(&self, at: usize) -> Option<[u8; N]>;
}

impl Bytes for [u8] {
    fn window<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.get(at..at.checked_add(N)?)?.try_into().ok()
    }
}

/// The kinds of packets that become records. Numbers of the wire: never reuse one.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// TCP SYN: an attempt.
    Syn = 1,
    /// TCP SYN-ACK: an answer.
    SynAck = 2,
    /// TCP RST: an answer, or a rejection.
    Rst = 3,
    /// TCP FIN: an end.
    Fin = 4,
    /// A UDP datagram: an attempt or an answer.
    Datagram = 5,
    /// SCTP INIT: an attempt.
    Init = 6,
    /// SCTP INIT-ACK: an answer.
    InitAck = 7,
    /// SCTP ABORT: an answer, or a rejection.
    Abort = 8,
    /// ICMP or ICMPv6 error, with the packet it is about inside.
    IcmpError = 9,
    /// ICMP or ICMPv6 echo request.
    EchoRequest = 10,
    /// ICMP or ICMPv6 echo reply.
    EchoReply = 11,
}

impl Class {
    /// The class of a wire number.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Syn,
            2 => Self::SynAck,
            3 => Self::Rst,
            4 => Self::Fin,
            5 => Self::Datagram,
            6 => Self::Init,
            7 => Self::InitAck,
            8 => Self::Abort,
            9 => Self::IcmpError,
            10 => Self::EchoRequest,
            11 => Self::EchoReply,
            _ => return None,
        })
    }
}

/// What a look at the headers gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// One of the kinds that are recorded.
    Kind(Kind),
    /// A packet of no interest: established traffic, another protocol, ARP.
    Other,
    /// A later fragment.
    Fragment,
    /// Headers that end early or nest too deep.
    Broken,
}

/// A packet that becomes a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Which kind.
    pub class: Class,
    /// Where the network header starts.
    pub network: usize,
    /// Where the transport header starts, behind all extension headers.
    pub transport_at: usize,
    /// IPv6 rather than IPv4.
    pub is_v6: bool,
    /// IP protocol number.
    pub transport: u8,
    /// The port that names the service: the destination's in an attempt, the source's in an answer, the lower of
    /// the two where it cannot be told; 0 for ICMP.
    pub service: u16,
}

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
/// The length of an Ethernet header in bytes.
pub const ETHERNET: usize = 14;

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Looks at a packet that starts with an Ethernet header; up to two VLAN tags are stepped over.
#[inline(always)]
pub fn look_ethernet<B: Bytes + ?Sized>(bytes: &B) -> Look {
    let Some(header) = bytes.window::<ETHERNET>(0) else {
        return Look::Broken;
    };
    let mut kind = u16::from_be_bytes([header[12], header[13]]);
    let mut network = ETHERNET;
    for _ in 0..2 {
        if kind != VLAN && kind != QINQ {
            break;
        }
        let Some(tag) = bytes.window::<4>(network) else {
            return Look::Broken;
        };
        kind = u16::from_be_bytes([tag[2], tag[3]]);
        network += 4;
    }
    look_network(bytes, network, kind)
}

/// Looks at a packet whose network header is at `network` and whose EtherType is `kind`.
#[inline(always)]
pub fn look_network<B: Bytes + ?Sized>(bytes: &B, network: usize, kind: u16) -> Look {
    match kind {
        IPV4 => look_ipv4(bytes, network),
        IPV6 => look_ipv6(bytes, network),
        _ => Look::Other,
    }
}

#[inline(always)]
fn look_ipv4<B: Bytes + ?Sized>(bytes: &B, network: usize) -> Look {
    let Some(header) = bytes.window::<20>(network) else {
        return Look::Broken;
    };
    let length = ((header[0] & 0x0f) as usize) << 2;
    if header[0] >> 4 != 4 || length < 20 {
        return Look::Broken;
    }
    if (header[6] & 0x1f) | header[7] != 0 {
        return Look::Fragment;
    }
    look_transport(bytes, network, network + length, header[9], false)
}

#[inline(always)]
fn look_ipv6<B: Bytes + ?Sized>(bytes: &B, network: usize) -> Look {
    let Some(header) = bytes.window::<40>(network) else {
        return Look::Broken;
    };
    let mut next = header[6];
    let mut at = network + 40;
    // Hop-by-hop, routing, fragment, destination options: four steps hold every chain a host sends on purpose.
    for _ in 0..4 {
        if !matches!(next, 0 | 43 | 44 | 60) {
            break;
        }
        let Some(extension) = bytes.window::<8>(at) else {
            return Look::Broken;
        };
        if next == 44 {
            if extension[2] | (extension[3] & 0xf8) != 0 {
                return Look::Fragment;
            }
            at += 8;
        } else {
            at += (extension[1] as usize + 1) << 3;
        }
        next = extension[0];
    }
    match next {
        0 | 43 | 44 | 60 => Look::Broken,
        _ => look_transport(bytes, network, at, next, true),
    }
}

#[inline(always)]
fn look_transport<B: Bytes + ?Sized>(
    bytes: &B,
    network: usize,
    at: usize,
    transport: u8,
    is_v6: bool,
) -> Look {
    let look = match transport {
        TCP => look_tcp(bytes, at),
        UDP => look_udp(bytes, at),
        SCTP => look_sctp(bytes, at),
        ICMP if !is_v6 => look_icmp(bytes, at),
        ICMPV6 if is_v6 => look_icmpv6(bytes, at),
        _ => return Look::Other,
    };
    match look {
        Some(Some((class, service))) => Look::Kind(Kind {
            class,
            network,
            transport_at: at,
            is_v6,
            transport,
            service,
        }),
        Some(None) => Look::Other,
        None => Look::Broken,
    }
}

/// `None`: the header ends early. `Some(None)`: of no interest.
type Transport = Option<Option<(Class, u16)>>;

#[inline(always)]
fn look_tcp<B: Bytes + ?Sized>(bytes: &B, at: usize) -> Transport {
    let header = bytes.window::<14>(at)?;
    let (source, destination) = ports(&header);
    // FIN 1, SYN 2, RST 4, ACK 16.
    Some(match header[13] & 0x17 {
        0x02 => Some((Class::Syn, destination)),
        0x12 => Some((Class::SynAck, source)),
        flags if flags & 0x04 != 0 => Some((Class::Rst, lower(source, destination))),
        flags if flags & 0x01 != 0 => Some((Class::Fin, lower(source, destination))),
        _ => None,
    })
}

#[inline(always)]
fn look_udp<B: Bytes + ?Sized>(bytes: &B, at: usize) -> Transport {
    let (source, destination) = ports(&bytes.window::<8>(at)?);
    Some(Some((Class::Datagram, lower(source, destination))))
}

#[inline(always)]
fn look_sctp<B: Bytes + ?Sized>(bytes: &B, at: usize) -> Transport {
    let header = bytes.window::<16>(at)?;
    let (source, destination) = ports(&header);
    // The type of the first chunk (RFC 9260, 3.2).
    Some(match header[12] {
        1 => Some((Class::Init, destination)),
        2 => Some((Class::InitAck, source)),
        6 => Some((Class::Abort, lower(source, destination))),
        _ => None,
    })
}

#[inline(always)]
fn look_icmp<B: Bytes + ?Sized>(bytes: &B, at: usize) -> Transport {
    let header = bytes.window::<8>(at)?;
    Some(match header[0] {
        0 => Some((Class::EchoReply, 0)),
        8 => Some((Class::EchoRequest, 0)),
        // Destination unreachable, time exceeded, parameter problem (RFC 792).
        3 | 11 | 12 => Some((Class::IcmpError, 0)),
        _ => None,
    })
}

#[inline(always)]
fn look_icmpv6<B: Bytes + ?Sized>(bytes: &B, at: usize) -> Transport {
    let header = bytes.window::<8>(at)?;
    Some(match header[0] {
        // Error messages (RFC 4443, 2.1 and 3).
        1..=4 => Some((Class::IcmpError, 0)),
        128 => Some((Class::EchoRequest, 0)),
        129 => Some((Class::EchoReply, 0)),
        _ => None,
    })
}

#[inline(always)]
fn ports<const N: usize>(header: &[u8; N]) -> (u16, u16) {
    (
        u16::from_be_bytes([header[0], header[1]]),
        u16::from_be_bytes([header[2], header[3]]),
    )
}

#[inline(always)]
const fn lower(one: u16, other: u16) -> u16 {
    if one < other { one } else { other }
}

#[cfg(test)]
mod tests;
