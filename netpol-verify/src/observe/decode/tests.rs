//! Decoding over whole, truncated, shuffled and random records.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use etherparse::PacketBuilder;
use netpol_verify_ebpf::{ABI_VERSION, RECORD_SIZE, SNAP_LENGTH, record::flags};
use proptest::prelude::*;

use super::{Damage, Decoder};
use crate::{
    kernel::DropReasons,
    net::{AttemptKey, Protocol},
    observe::{AnswerKind, DropClass, Packet, Where},
};

fn decoder() -> Decoder {
    let mut decoder = Decoder::new(DropReasons::new([(
        "SKB_DROP_REASON_NETFILTER_DROP".to_owned(),
        8,
    )]));
    decoder.learn(&[(0xffff_ffff_8100_0010, "nft_do_chain".to_owned())].into());
    decoder
}

/// A record of the wire, field by field, so that this test fails when the layout moves.
fn record(vantage: u8, link: bool, packet_type: u8, packet: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(1_000_u64.to_ne_bytes());
    bytes.extend(42_u64.to_ne_bytes());
    bytes.extend(0xffff_ffff_8100_0010_u64.to_ne_bytes());
    bytes.extend(8_u32.to_ne_bytes());
    bytes.extend(3_u32.to_ne_bytes());
    bytes.extend(u32::try_from(packet.len()).unwrap().to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(0x0800_u16.to_ne_bytes());
    let captured = packet.len().min(SNAP_LENGTH);
    bytes.extend(u16::try_from(captured).unwrap().to_ne_bytes());
    bytes.extend(0_u16.to_ne_bytes());
    bytes.extend([vantage, if link { flags::LINK_HEADER } else { 0 }, packet_type, 0]);
    bytes.extend(u16::try_from(ABI_VERSION).unwrap().to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.resize(56, 0);
    bytes.extend(&packet[..captured]);
    bytes.resize(RECORD_SIZE, 0);
    bytes
}

fn ethernet() -> etherparse::PacketBuilderStep<etherparse::Ethernet2Header> {
    PacketBuilder::ethernet2([2; 6], [4; 6])
}

fn written(builder: etherparse::PacketBuilderStep<etherparse::TcpHeader>) -> Vec<u8> {
    let mut bytes = Vec::new();
    builder.write(&mut bytes, &[]).unwrap();
    bytes
}

fn client() -> SocketAddr {
    "10.0.0.1:2000".parse().unwrap()
}

fn syn() -> Vec<u8> {
    written(
        ethernet()
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(2000, 80, 77, 1)
            .syn(),
    )
}

fn attempt() -> AttemptKey {
    AttemptKey {
        protocol: Protocol::Tcp,
        source: client(),
        discriminator: 77,
    }
}

#[test]
fn a_syn_names_its_attempt_at_every_vantage_point() {
    let mut decoder = decoder();
    let first = Packet::First {
        key: attempt(),
        to: "10.0.0.2:80".parse().unwrap(),
    };
    for (vantage, link, packet_type, at) in [
        (1, true, 0, Where::Sent),
        (2, true, 0, Where::Delivered),
        (2, true, 3, Where::Flooded),
    ] {
        let sighting = decoder
            .record(&record(vantage, link, packet_type, &syn()))
            .unwrap();
        assert_eq!((sighting.at, sighting.packet), (at, first.clone()));
        assert_eq!(sighting.netns.0, 42);
    }
    let dropped = decoder.record(&record(3, false, 0, &syn()[14..])).unwrap();
    assert_eq!(dropped.packet, first);
    let Where::Dropped(place) = dropped.at else {
        panic!("not a drop")
    };
    assert_eq!(
        (place.reason.as_str(), place.location.as_deref()),
        ("NETFILTER_DROP", Some("nft_do_chain"))
    );
    assert_eq!(place.class, DropClass::Policy);
}

#[test]
fn answers_and_errors_lead_back_to_the_attempt() {
    let mut decoder = decoder();
    let back = || ethernet().ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64);
    let accept = written(back().tcp(80, 2000, 1, 1).syn().ack(78));
    let refuse = written(back().tcp(80, 2000, 0, 1).rst().ack(78));
    for (bytes, kind) in [(accept, AnswerKind::Accept), (refuse, AnswerKind::Refuse)] {
        let sighting = decoder.record(&record(2, true, 0, &bytes)).unwrap();
        assert_eq!(
            sighting.packet,
            Packet::Answer {
                kind,
                to: attempt(),
                from: "10.0.0.2:80".parse().unwrap()
            }
        );
    }
    let plain_reset = written(back().tcp(80, 2000, 9, 1).rst());
    assert_eq!(
        decoder.record(&record(2, true, 0, &plain_reset)).unwrap().packet,
        Packet::Other
    );
    // The error quotes the IP header and eight bytes more.
    let mut quoted = Vec::new();
    back()
        .icmpv4_raw(3, 13, [0; 4])
        .write(&mut quoted, &syn()[14..14 + 28])
        .unwrap();
    let sighting = decoder.record(&record(2, true, 0, &quoted)).unwrap();
    assert_eq!(
        sighting.packet,
        Packet::Error {
            about: attempt(),
            code: 13
        }
    );
}

#[test]
fn damage_is_told_by_kind() {
    let mut decoder = decoder();
    let good = record(1, true, 0, &syn());
    assert_eq!(decoder.record(&good[..20]), Err(Damage::PartialRecord(20)));
    let mut other_format = good.clone();
    other_format[50..52].copy_from_slice(&999_u16.to_ne_bytes());
    assert_eq!(decoder.record(&other_format), Err(Damage::Abi(999)));
    assert_eq!(
        decoder.record(&record(9, true, 0, &syn())),
        Err(Damage::Vantage(9))
    );
    let mut nothing_inside = good.clone();
    nothing_inside[42..44].copy_from_slice(&20_u16.to_ne_bytes());
    assert_eq!(decoder.record(&nothing_inside), Err(Damage::Packet));
    let mut too_long = good;
    too_long[42..44].copy_from_slice(&2_000_u16.to_ne_bytes());
    assert_eq!(decoder.record(&too_long), Err(Damage::Captured(2_000)));
}

#[test]
fn a_batch_that_ends_inside_a_record_gives_the_rest_and_says_so() {
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&record(1, true, 0, &syn()));
    bytes.extend_from_slice(&[0; 10]);
    let batch = bytes.freeze();
    let mut decoder = decoder();
    let results: Vec<_> = decoder.batch(&batch).collect();
    assert!(results[0].is_ok());
    assert_eq!(results[1], Err(Damage::PartialRecord(10)));
}

proptest! {
    #[test]
    fn random_records_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..RECORD_SIZE * 3)) {
        let batch = Bytes::from(bytes);
        let _ = decoder().batch(&batch).count();
    }

    #[test]
    fn a_good_header_over_random_packets_never_panics(
        packet in proptest::collection::vec(any::<u8>(), 0..SNAP_LENGTH),
        vantage in 0_u8..4,
        link: bool,
        transport in prop::sample::select(vec![1_u8, 6, 17, 58, 132]),
    ) {
        let mut packet = packet;
        // Steer towards the deeper paths.
        if let Some(field) = packet.get_mut(12..15) {
            field.copy_from_slice(&[8, 0, 0x45]);
        }
        if let Some(field) = packet.get_mut(23) {
            *field = transport;
        }
        let _ = decoder().record(&record(vantage, link, 0, &packet));
    }
}
