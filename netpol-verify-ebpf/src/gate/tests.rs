//! Rules, flows and packets, by themselves.

extern crate std;

use std::{vec, vec::Vec};

use super::{ACCEPT, End, Flow, FlowKey, LIFETIME_NS, Packet, Read, Rule, Way, read, transport};

fn frame(transport: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([0x08, 0x00, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, transport, 0, 0]);
    frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend(payload);
    frame
}

fn tcp(flags: u8) -> Packet {
    let mut segment = vec![0x9c, 0x40, 0, 80];
    segment.extend([0; 8]);
    segment.extend([0x50, flags, 0, 0, 0, 0, 0, 0]);
    match read(&*frame(6, &segment)) {
        Read::Packet(packet, _) => packet,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ends_and_flags_are_read() {
    let packet = tcp(0x02);
    assert_eq!(
        (packet.source, packet.destination),
        ([0x0a00_0001_0000_0000, 0], [0x0a00_0002_0000_0000, 0])
    );
    assert_eq!((packet.source_port, packet.destination_port), (40000, 80));
    assert_eq!(
        [0x02, 0x12, 0x10, 0x04].map(|flags| tcp(flags).opens),
        [1, 0, 0, 0]
    );
}

#[test]
fn what_is_cut_short_is_broken_and_what_is_no_ip_passes() {
    let whole = frame(17, &[0; 8]);
    assert!(matches!(read(&*whole), Read::Packet(..)));
    for length in 0..whole.len() {
        assert_eq!(read(&whole[..length]), Read::Broken, "{length}");
    }
    let mut arp = whole.clone();
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    assert_eq!(read(&*arp), Read::Passes);
    let mut later = whole;
    later[14 + 7] = 9;
    assert_eq!(read(&*later), Read::Passes);
}

#[test]
fn an_error_says_where_its_packet_starts() {
    let Read::Packet(packet, at) = read(&*frame(1, &[3, 3, 0, 0, 0, 0, 0, 0])) else {
        panic!("no packet");
    };
    assert_eq!((packet.is_error, at), (1, 14 + 20 + 8));
}

#[test]
fn a_rule_looks_at_the_end_it_names() {
    let rule = |end, third: u64, prefix: u32| Rule {
        network: [0x0a00_0000_0000_0000 | third << 32, 0],
        mask: [u64::MAX << (64 - prefix), 0],
        family: 4,
        end: end as u8,
        ..Rule::everything(ACCEPT)
    };
    let packet = tcp(0x02);
    for (way, own, other) in [(Way::Egress, 1, 2), (Way::Ingress, 2, 1)] {
        assert!(rule(End::Own, own, 32).matches(&packet, way));
        assert!(!rule(End::Own, other, 32).matches(&packet, way));
        assert!(rule(End::Other, other, 32).matches(&packet, way));
        assert!(
            rule(End::Other, 0, 24).matches(&packet, way) && !rule(End::Other, 0, 32).matches(&packet, way)
        );
    }
    let other_family = Rule {
        family: 6,
        mask: [0; 2],
        ..rule(End::Other, 0, 8)
    };
    assert!(!other_family.matches(&packet, Way::Egress));
    let ports = |transport, first, last| Rule {
        transport,
        first,
        last,
        ..Rule::everything(ACCEPT)
    };
    assert!(ports(transport::TCP, 79, 80).matches(&packet, Way::Egress));
    assert!(!ports(transport::TCP, 81, 90).matches(&packet, Way::Egress));
    assert!(!ports(transport::UDP, 0, u16::MAX).matches(&packet, Way::Egress));
}

#[test]
fn answers_pass_and_what_opens_is_asked() {
    let flow = |answered| Flow {
        seen_ns: 0,
        opened: Way::Egress as u32,
        answered,
    };
    let (syn, ack) = (tcp(0x02), tcp(0x10));
    assert!(
        flow(0).covers(&ack, Way::Ingress, u64::MAX / 2),
        "an answer, whenever"
    );
    assert!(!flow(0).covers(&ack, Way::Egress, 1), "nobody has answered");
    assert!(flow(1).covers(&ack, Way::Egress, 1));
    assert!(!flow(1).covers(&syn, Way::Egress, 1) && !flow(1).covers(&syn, Way::Ingress, 1));
    let datagram = Packet {
        transport: transport::UDP,
        ..ack
    };
    assert!(flow(0).covers(&datagram, Way::Ingress, LIFETIME_NS - 1));
    assert!(!flow(0).covers(&datagram, Way::Ingress, LIFETIME_NS));
    let back = Packet {
        source: ack.destination,
        destination: ack.source,
        source_port: ack.destination_port,
        destination_port: ack.source_port,
        ..ack
    };
    assert_eq!(
        FlowKey::of(&ack, Way::Egress, 3),
        FlowKey::of(&back, Way::Ingress, 3)
    );
    assert_ne!(
        FlowKey::of(&ack, Way::Egress, 3),
        FlowKey::of(&back, Way::Ingress, 4)
    );
}
