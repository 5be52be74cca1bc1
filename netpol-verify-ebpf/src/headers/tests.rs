//! The look at headers, over well-formed, broken and random bytes.

extern crate std;

use std::{vec, vec::Vec};

use super::{Class, Kind, Look, look_ethernet};

fn ipv4(transport: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, transport, 0, 0]);
    frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend(payload);
    frame
}

fn ipv6(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, first, 64]);
    frame.extend([0; 32]);
    frame.extend(payload);
    frame
}

fn tcp(flags: u8) -> Vec<u8> {
    let mut segment = vec![0x9c, 0x40, 0, 80];
    segment.extend([0; 8]);
    segment.extend([0x50, flags, 0, 0, 0, 0, 0, 0]);
    segment
}

fn class(look: Look) -> Option<Class> {
    match look {
        Look::Kind(kind) => Some(kind.class),
        Look::Other | Look::Fragment | Look::Broken => None,
    }
}

#[test]
fn flags_decide_the_class_of_a_segment() {
    for (flags, expected) in [
        (0x02, Some(Class::Syn)),
        (0xc2, Some(Class::Syn)),
        (0x12, Some(Class::SynAck)),
        (0x04, Some(Class::Rst)),
        (0x14, Some(Class::Rst)),
        (0x11, Some(Class::Fin)),
        (0x10, None),
        (0x18, None),
        (0x00, None),
    ] {
        assert_eq!(
            class(look_ethernet(&ipv4(6, &tcp(flags))[..])),
            expected,
            "IPv4 {flags:#x}"
        );
        assert_eq!(
            class(look_ethernet(&ipv6(6, &tcp(flags))[..])),
            expected,
            "IPv6 {flags:#x}"
        );
    }
}

#[test]
fn an_attempt_names_the_destination_port_and_an_answer_the_source_port() {
    let syn = look_ethernet(&ipv4(6, &tcp(2))[..]);
    assert_eq!(
        syn,
        Look::Kind(Kind {
            class: Class::Syn,
            network: 14,
            transport_at: 34,
            is_v6: false,
            transport: 6,
            service: 80
        })
    );
    let Look::Kind(answer) = look_ethernet(&ipv4(6, &tcp(0x12))[..]) else {
        panic!("no kind")
    };
    assert_eq!(answer.service, 0x9c40);
}

#[test]
fn two_vlan_tags_are_stepped_over_and_a_third_is_not_followed() {
    let inner = ipv4(17, &[0, 1, 0, 53, 0, 8, 0, 0]);
    for tags in 0..4_usize {
        let mut frame = vec![0; 12];
        for _ in 0..tags {
            frame.extend([0x81, 0, 0, 5]);
        }
        frame.extend(&inner[12..]);
        let look = look_ethernet(&frame[..]);
        assert_eq!(class(look).is_some(), tags <= 2, "{tags} tags");
    }
}

#[test]
fn extension_headers_are_followed_four_deep() {
    for depth in 0..7_usize {
        let mut payload = Vec::new();
        for i in 0..depth {
            payload.extend([if i + 1 == depth { 6 } else { 60 }, 0, 0, 0, 0, 0, 0, 0]);
        }
        payload.extend(tcp(2));
        let look = look_ethernet(&ipv6(if depth == 0 { 6 } else { 60 }, &payload)[..]);
        if depth <= 4 {
            assert_eq!(class(look), Some(Class::Syn), "{depth} headers");
        } else {
            assert_eq!(look, Look::Broken, "{depth} headers");
        }
    }
}

#[test]
fn later_fragments_have_no_ports_and_are_not_guessed() {
    let mut frame = ipv4(6, &tcp(2));
    frame[20] = 0x00;
    frame[21] = 0x10;
    assert_eq!(look_ethernet(&frame[..]), Look::Fragment);
    let six = ipv6(44, &[6, 0, 0, 8, 0, 0, 0, 1]);
    assert_eq!(look_ethernet(&six[..]), Look::Fragment);
}

#[test]
fn every_truncation_of_every_kind_is_broken_or_other_and_never_panics() {
    let frames = [
        ipv4(6, &tcp(2)),
        ipv6(6, &tcp(2)),
        ipv4(132, &[0, 1, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20]),
        ipv4(17, &[0, 1, 0, 53, 0, 8, 0, 0]),
        ipv4(1, &[3, 1, 0, 0, 0, 0, 0, 0]),
        ipv6(58, &[1, 4, 0, 0, 0, 0, 0, 0]),
    ];
    for frame in frames {
        assert!(class(look_ethernet(&frame[..])).is_some());
        for length in 0..frame.len() {
            let _ = look_ethernet(&frame[..length]);
        }
        assert!(class(look_ethernet(&frame[..30])).is_none());
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..20_000 {
        let mut bytes = Vec::new();
        for _ in 0..100 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.push(state.to_le_bytes()[0]);
        }
        bytes[12] = 0x08;
        bytes[13] = 0;
        let _ = look_ethernet(&bytes[..usize::from(bytes[0] % 100)]);
        bytes[12] = 0x86;
        bytes[13] = 0xdd;
        let _ = look_ethernet(&bytes[..]);
    }
}
