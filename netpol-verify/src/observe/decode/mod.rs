//! The decoder: bytes of a batch to sightings.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;
use netpol_verify_ebpf::{
    ABI_VERSION, RECORD_SIZE, Vantage,
    headers::{Bytes as _, Class, Kind, Look, look_ethernet, look_network},
    record::flags,
};

use super::{
    reason::classify,
    sighting::{AnswerKind, Dropped, Packet, Sighting, Where},
};
use crate::{
    kernel::DropReasons,
    net::{AttemptKey, Ifindex, KernelTime, NetnsCookie, Protocol, payload_hash},
};

/// `PACKET_OTHERHOST`, include/uapi/linux/if_packet.h.
const OTHER_HOST: u8 = 3;

/// A record that cannot be understood. It is counted and never guessed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The bytes are not whole records.
    #[error("{0} bytes are not a whole number of records")]
    PartialRecord(usize),
    /// Another record format.
    #[error("a record of format {0}")]
    Abi(u16),
    /// No such vantage point.
    #[error("a record from the unknown vantage point {0}")]
    Vantage(u8),
    /// More captured bytes than a record holds.
    #[error("a record that claims {0} captured bytes")]
    Captured(u16),
    /// Headers that the programs would not have recorded.
    #[error("a record whose packet cannot be read")]
    Packet,
}

/// Turns raw records into sightings. Keeps the names of reasons and functions it has met.
pub struct Decoder {
    reasons: DropReasons,
    functions: BTreeMap<u64, String>,
    places: HashMap<(u32, u64), Dropped>,
}

impl Decoder {
    /// A decoder for records of the kernel those names are from.
    #[must_use]
    pub fn new(reasons: DropReasons) -> Self {
        Self {
            reasons,
            functions: BTreeMap::new(),
            places: HashMap::new(),
        }
    }

    /// Takes names of functions that free packets, by the addresses that records hold.
    pub fn learn(&mut self, functions: &BTreeMap<u64, String>) {
        for (address, name) in functions {
            if self.functions.get(address) != Some(name) {
                self.places.retain(|(_, location), _| location != address);
                self.functions.insert(*address, name.clone());
            }
        }
    }

    /// Decodes a batch's records one by one, damaged ones as errors in their place.
    pub fn batch<'a>(
        &'a mut self,
        records: &'a Bytes,
    ) -> impl Iterator<Item = Result<Sighting, Damage>> + 'a {
        let whole = records.chunks_exact(RECORD_SIZE);
        let rest = whole.remainder().len();
        let partial = (rest > 0).then_some(Err(Damage::PartialRecord(rest)));
        whole.map(|record| self.record(record)).chain(partial)
    }

    /// Decodes one record.
    ///
    /// # Errors
    /// The record is damaged.
    pub fn record(&mut self, record: &[u8]) -> Result<Sighting, Damage> {
        let fields = Fields::read(record)?;
        let packet = record
            .get(HEADER..)
            .and_then(|rest| rest.get(..usize::from(fields.captured)));
        let packet = packet.ok_or(Damage::Captured(fields.captured))?;
        let look = if fields.flags & flags::LINK_HEADER != 0 {
            look_ethernet(packet)
        } else {
            look_network(packet, 0, fields.protocol)
        };
        let Look::Kind(kind) = look else {
            return Err(Damage::Packet);
        };
        let at = match fields.vantage {
            Vantage::PodEgress => Where::Sent,
            Vantage::PodIngress if fields.packet_type == OTHER_HOST => Where::Flooded,
            Vantage::PodIngress => Where::Delivered,
            Vantage::Drop => Where::Dropped(self.place(fields.drop_reason, fields.drop_location)),
        };
        Ok(Sighting {
            time: fields.time,
            netns: fields.netns,
            ifindex: fields.ifindex,
            at,
            folded: fields.folded,
            packet: meaning(packet, &kind).ok_or(Damage::Packet)?,
        })
    }

    fn place(&mut self, reason: u32, location: u64) -> Dropped {
        // Bounded: reasons and call sites are the kernel's own, some hundreds.
        self.places
            .entry((reason, location))
            .or_insert_with(|| {
                let name = self.reasons.name(reason);
                Dropped {
                    class: classify(&name),
                    location: self.functions.get(&location).cloned(),
                    reason: name,
                }
            })
            .clone()
    }
}

/// The size of the fixed part.
const HEADER: usize = std::mem::size_of::<netpol_verify_ebpf::RecordHeader>();

struct Fields {
    time: KernelTime,
    netns: NetnsCookie,
    drop_location: u64,
    drop_reason: u32,
    ifindex: Ifindex,
    folded: u32,
    protocol: u16,
    captured: u16,
    vantage: Vantage,
    flags: u8,
    packet_type: u8,
}

impl Fields {
    /// Reads the fixed part by the offsets of `RecordHeader`, without trusting the slice's alignment.
    fn read(record: &[u8]) -> Result<Self, Damage> {
        use std::mem::offset_of;

        use netpol_verify_ebpf::RecordHeader as H;
        let partial = Damage::PartialRecord(record.len());
        let eight = |at| record.window::<8>(at).map(u64::from_ne_bytes).ok_or(partial);
        let four = |at| record.window::<4>(at).map(u32::from_ne_bytes).ok_or(partial);
        let two = |at| record.window::<2>(at).map(u16::from_ne_bytes).ok_or(partial);
        let one = |at| record.window::<1>(at).map(|[byte]| byte).ok_or(partial);
        let abi = two(offset_of!(H, abi))?;
        if u32::from(abi) != ABI_VERSION {
            return Err(Damage::Abi(abi));
        }
        let vantage = one(offset_of!(H, vantage))?;
        Ok(Self {
            time: KernelTime(eight(offset_of!(H, time))?),
            netns: NetnsCookie(eight(offset_of!(H, netns_cookie))?),
            drop_location: eight(offset_of!(H, drop_location))?,
            drop_reason: four(offset_of!(H, drop_reason))?,
            ifindex: Ifindex(four(offset_of!(H, ifindex))?),
            folded: four(offset_of!(H, folded))?,
            protocol: two(offset_of!(H, protocol))?,
            captured: two(offset_of!(H, captured))?,
            vantage: Vantage::from_wire(vantage).ok_or(Damage::Vantage(vantage))?,
            flags: one(offset_of!(H, flags))?,
            packet_type: one(offset_of!(H, packet_type))?,
        })
    }
}

/// What a packet means for attempts.
fn meaning(packet: &[u8], kind: &Kind) -> Option<Packet> {
    let (from, to) = addresses(packet, kind.network, kind.is_v6)?;
    let at = kind.transport_at;
    match kind.class {
        Class::IcmpError => return Some(error(packet, at, kind.is_v6)),
        Class::EchoRequest | Class::EchoReply | Class::Fin => return Some(Packet::Other),
        Class::Syn
        | Class::SynAck
        | Class::Rst
        | Class::Datagram
        | Class::Init
        | Class::InitAck
        | Class::Abort => {}
    }
    let (from, to) = ports(packet, at, from, to)?;
    let word = |offset: usize| {
        packet
            .window::<4>(at.checked_add(offset)?)
            .map(u32::from_be_bytes)
    };
    Some(match kind.class {
        Class::Syn => Packet::First {
            key: key(Protocol::Tcp, from, word(4)?),
            to,
        },
        Class::SynAck => answer(
            AnswerKind::Accept,
            Protocol::Tcp,
            from,
            to,
            word(8)?.wrapping_sub(1),
        ),
        // An RST that answers a SYN acknowledges its number (RFC 9293, 3.10.7.1); one without ACK ends a connection.
        Class::Rst if packet.window::<1>(at + 13)?[0] & 0x10 != 0 => answer(
            AnswerKind::Refuse,
            Protocol::Tcp,
            from,
            to,
            word(8)?.wrapping_sub(1),
        ),
        // The initiate tag, in the chunk behind the common header (RFC 9260, 3.3.2).
        Class::Init => Packet::First {
            key: key(Protocol::Sctp, from, word(16)?),
            to,
        },
        // Answers carry the other side's initiate tag as their verification tag.
        Class::InitAck => answer(AnswerKind::Accept, Protocol::Sctp, from, to, word(4)?),
        Class::Abort => answer(AnswerKind::Refuse, Protocol::Sctp, from, to, word(4)?),
        Class::Datagram => {
            let payload = packet.get(at.checked_add(8)?..).unwrap_or_default();
            let length = packet.window::<2>(at + 4).map(u16::from_be_bytes)?;
            // The frame may be padded; the datagram says how long it is.
            let payload = payload
                .get(..usize::from(length.saturating_sub(8)))
                .unwrap_or(payload);
            Packet::Datagram {
                key: key(Protocol::Udp, from, payload_hash(payload)),
                to,
            }
        }
        Class::Rst | Class::Fin | Class::IcmpError | Class::EchoRequest | Class::EchoReply => Packet::Other,
    })
}

const fn key(protocol: Protocol, source: SocketAddr, discriminator: u32) -> AttemptKey {
    AttemptKey {
        protocol,
        source,
        discriminator,
    }
}

const fn answer(
    kind: AnswerKind,
    protocol: Protocol,
    from: SocketAddr,
    to: SocketAddr,
    number: u32,
) -> Packet {
    Packet::Answer {
        kind,
        to: key(protocol, to, number),
        from,
    }
}

fn addresses(packet: &[u8], network: usize, is_v6: bool) -> Option<(IpAddr, IpAddr)> {
    Some(if is_v6 {
        (
            IpAddr::from(packet.window::<16>(network.checked_add(8)?)?),
            IpAddr::from(packet.window::<16>(network.checked_add(24)?)?),
        )
    } else {
        (
            IpAddr::from(packet.window::<4>(network.checked_add(12)?)?),
            IpAddr::from(packet.window::<4>(network.checked_add(16)?)?),
        )
    })
}

fn ports(packet: &[u8], at: usize, from: IpAddr, to: IpAddr) -> Option<(SocketAddr, SocketAddr)> {
    let source = packet.window::<2>(at).map(u16::from_be_bytes)?;
    let destination = packet.window::<2>(at.checked_add(2)?).map(u16::from_be_bytes)?;
    Some((SocketAddr::new(from, source), SocketAddr::new(to, destination)))
}

/// The attempt an ICMP error is about: the packet inside, of which eight transport bytes are certain (RFC 792).
fn error(packet: &[u8], at: usize, is_v6: bool) -> Packet {
    let about = || -> Option<Packet> {
        let code = packet.window::<2>(at)?[1];
        let network = at.checked_add(8)?;
        let first = packet.window::<1>(network)?[0];
        let (protocol, transport) = if is_v6 {
            (packet.window::<1>(network + 6)?[0], network + 40)
        } else {
            (
                packet.window::<1>(network + 9)?[0],
                network + (usize::from(first & 0x0f) << 2),
            )
        };
        let (from, to) = addresses(packet, network, is_v6)?;
        let (from, _) = ports(packet, transport, from, to)?;
        let word = packet
            .window::<4>(transport.checked_add(4)?)
            .map(u32::from_be_bytes);
        let about = match protocol {
            6 => key(Protocol::Tcp, from, word?),
            // Only eight bytes are certain, the payload behind them is there in practice (RFC 1812, 4.3.2.3).
            17 => {
                let payload = packet.get(transport.checked_add(8)?..).unwrap_or_default();
                let length = packet.window::<2>(transport + 4).map(u16::from_be_bytes)?;
                key(
                    Protocol::Udp,
                    from,
                    payload_hash(
                        payload
                            .get(..usize::from(length.saturating_sub(8)))
                            .unwrap_or(payload),
                    ),
                )
            }
            // The initiate tag lies beyond the eight bytes; it is there where the whole INIT is quoted.
            132 => key(
                Protocol::Sctp,
                from,
                packet.window::<4>(transport + 16).map(u32::from_be_bytes)?,
            ),
            _ => return None,
        };
        Some(Packet::Error { about, code })
    };
    about().unwrap_or(Packet::Other)
}

#[cfg(test)]
mod tests;
