//! The join: sightings by hand, batches by hand.

use std::{net::SocketAddr, time::Duration};

use super::{Patience, Tracker};
use crate::{
    bus::{Announcement, Batch, InterfaceState, LossTotals},
    flow::{Outcome, Reply, UnknownCause, Window},
    net::{AttemptKey, Ifindex, KernelTime, NetnsCookie, Protocol},
    observe::{AnswerKind, DropClass, Dropped, Packet, Sighting, Where},
};

const A: NetnsCookie = NetnsCookie(1);
const B: NetnsCookie = NetnsCookie(2);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn key(protocol: Protocol, source: &str, discriminator: u32) -> AttemptKey {
    AttemptKey {
        protocol,
        source: address(source),
        discriminator,
    }
}

fn tracker() -> Tracker {
    let mut tracker = Tracker::new(Patience {
        silence: Duration::from_nanos(100),
        reply: Duration::from_nanos(50),
    });
    for netns in [A, B] {
        tracker.announce(&Announcement {
            node: "n".into(),
            netns,
            netns_name: String::new(),
            ifindex: Ifindex(2),
            ifname: "eth0".to_owned(),
            addresses: Vec::new(),
            state: InterfaceState::Watched { since: KernelTime(1) },
        });
    }
    tracker
}

fn sighting(time: u64, netns: NetnsCookie, at: Where, packet: Packet) -> Sighting {
    Sighting {
        time: KernelTime(time),
        netns,
        ifindex: Ifindex(2),
        at,
        folded: 0,
        packet,
    }
}

fn first(key: AttemptKey, to: &str) -> Packet {
    Packet::First { key, to: address(to) }
}

fn batch(sequence: u64, drained_at: u64, records: usize) -> Batch {
    Batch {
        node: "n".into(),
        sequence,
        records: vec![0; records * netpol_verify_ebpf::RECORD_SIZE].into(),
        drained_at: KernelTime(drained_at),
        losses: LossTotals::default(),
    }
}

fn window(started: u64) -> Window {
    Window {
        source: A,
        destination: Some(B),
        started: KernelTime(started),
        proven: KernelTime(0),
    }
}

#[test]
fn sightings_find_their_attempt_by_source_and_number_across_a_changed_destination() {
    let mut tracker = tracker();
    let key = key(Protocol::Tcp, "10.0.0.1:2000", 77);
    tracker.sighting(sighting(10, A, Where::Sent, first(key, "10.96.0.1:80")));
    tracker.sighting(sighting(11, B, Where::Delivered, first(key, "10.0.0.2:8080")));
    let answer = |time, netns, at, from| {
        sighting(
            time,
            netns,
            at,
            Packet::Answer {
                kind: AnswerKind::Accept,
                to: key,
                from: address(from),
            },
        )
    };
    assert_eq!(
        tracker.sighting(answer(12, B, Where::Sent, "10.0.0.2:8080")),
        Some(key)
    );
    tracker.sighting(answer(13, A, Where::Delivered, "10.96.0.1:80"));
    tracker.batch(&batch(1, 20, 0));
    assert_eq!(
        tracker.outcome(&key, window(5)),
        Outcome::Delivered {
            reply: Reply::Returned,
            only_retransmission: false
        }
    );
}

#[test]
fn a_flooded_frame_is_no_delivery() {
    let mut tracker = tracker();
    let key = key(Protocol::Tcp, "10.0.0.1:2000", 77);
    tracker.sighting(sighting(10, A, Where::Sent, first(key, "10.0.0.2:80")));
    tracker.sighting(sighting(11, B, Where::Flooded, first(key, "10.0.0.2:80")));
    tracker.batch(&batch(1, 1_000, 0));
    assert_eq!(tracker.outcome(&key, window(5)), Outcome::Unanswered);
}

#[test]
fn a_datagrams_answer_comes_back_through_a_changed_destination() {
    let mut tracker = tracker();
    let asked = key(Protocol::Udp, "10.0.0.1:2000", 1);
    let answer = |from: &str| Packet::Datagram {
        key: key(Protocol::Udp, from, 2),
        to: address("10.0.0.1:2000"),
    };
    let ask = |to: &str| Packet::Datagram {
        key: asked,
        to: address(to),
    };
    tracker.sighting(sighting(10, A, Where::Sent, ask("10.96.0.10:53")));
    tracker.sighting(sighting(11, B, Where::Delivered, ask("10.0.0.2:53")));
    assert_eq!(
        tracker.sighting(sighting(12, B, Where::Sent, answer("10.0.0.2:53"))),
        Some(asked)
    );
    assert_eq!(
        tracker.sighting(sighting(13, A, Where::Delivered, answer("10.96.0.10:53"))),
        Some(asked)
    );
    tracker.batch(&batch(1, 20, 0));
    assert_eq!(
        tracker.outcome(&asked, window(5)),
        Outcome::Delivered {
            reply: Reply::Returned,
            only_retransmission: false
        }
    );
    assert!(
        tracker.trace(&key(Protocol::Udp, "10.0.0.2:53", 2)).is_none(),
        "an answer is no attempt of its own"
    );
}

#[test]
fn an_answer_to_nothing_that_was_seen_is_nobodys() {
    let mut tracker = tracker();
    let stranger = key(Protocol::Tcp, "10.0.0.1:2000", 77);
    let packets = [
        Packet::Answer {
            kind: AnswerKind::Refuse,
            to: stranger,
            from: address("10.0.0.2:80"),
        },
        Packet::Error {
            about: stranger,
            code: 3,
        },
        Packet::Other,
    ];
    for packet in packets {
        assert_eq!(tracker.sighting(sighting(10, A, Where::Delivered, packet)), None);
    }
    assert!(tracker.trace(&stranger).is_none());
}

#[test]
fn an_error_about_an_attempt_rejects_it() {
    let mut tracker = tracker();
    let key = key(Protocol::Udp, "10.0.0.1:2000", 9);
    let ask = Packet::Datagram {
        key,
        to: address("10.0.0.2:53"),
    };
    tracker.sighting(sighting(10, A, Where::Sent, ask));
    tracker.sighting(sighting(
        11,
        A,
        Where::Delivered,
        Packet::Error { about: key, code: 13 },
    ));
    tracker.batch(&batch(1, 200, 0));
    assert!(matches!(
        tracker.outcome(&key, window(5)),
        Outcome::Rejected { .. }
    ));
}

fn lost(outcome: &Outcome) -> Option<u64> {
    match outcome {
        Outcome::Unknown {
            why: UnknownCause::RecordsLost { count, .. },
        } => Some(*count),
        _ => None,
    }
}

#[test]
fn a_missing_batch_blinds_everyone_until_the_next_heartbeat() {
    let mut tracker = tracker();
    tracker.batch(&batch(1, 100, 0));
    let key = key(Protocol::Tcp, "10.0.0.1:2000", 77);
    tracker.sighting(sighting(110, A, Where::Sent, first(key, "10.0.0.2:80")));
    // Batch 2 is missing. Batch 3 has records, so it proves nothing later than the heartbeat before both.
    tracker.batch(&batch(3, 100, 1));
    tracker.batch(&batch(4, 400, 0));
    assert_eq!(lost(&tracker.outcome(&key, window(105))), Some(1));
    tracker.batch(&batch(5, 1_000, 0));
    let later = AttemptKey {
        discriminator: 78,
        ..key
    };
    tracker.sighting(sighting(510, A, Where::Sent, first(later, "10.0.0.2:80")));
    assert_eq!(
        tracker.outcome(&later, window(505)),
        Outcome::Unanswered,
        "the gap was before"
    );
}

#[test]
fn a_damaged_record_blinds_as_a_missing_one() {
    let mut tracker = tracker();
    tracker.batch(&batch(1, 100, 0));
    let key = key(Protocol::Tcp, "10.0.0.1:2000", 77);
    tracker.sighting(sighting(110, A, Where::Sent, first(key, "10.0.0.2:80")));
    tracker.damage(1);
    tracker.batch(&batch(2, 100, 1));
    tracker.batch(&batch(3, 400, 0));
    assert_eq!(lost(&tracker.outcome(&key, window(105))), Some(1));
}

#[test]
fn a_sensor_that_starts_again_counts_from_one_and_no_number_overflows() {
    let mut tracker = tracker();
    tracker.batch(&batch(u64::MAX, 100, 0));
    tracker.batch(&batch(1, 200, 0));
    tracker.batch(&batch(2, 300, 0));
    assert_eq!(tracker.losses().totals().len(), 0);
    assert_eq!(tracker.proven(), KernelTime(300));
}

#[test]
fn only_a_heartbeat_proves() {
    let mut tracker = tracker();
    tracker.batch(&batch(1, 500, 3));
    assert_eq!(tracker.proven(), KernelTime(0));
    tracker.batch(&batch(2, 500, 0));
    assert_eq!(tracker.proven(), KernelTime(500));
    tracker.batch(&batch(3, 400, 0));
    assert_eq!(tracker.proven(), KernelTime(500), "time does not go back");
}

#[test]
fn the_oldest_attempts_make_room_and_are_then_unknown() {
    let mut tracker = Tracker::with_capacity(Patience::default(), 100);
    let at = |number: u32| key(Protocol::Udp, &format!("10.0.0.1:{}", 1000 + number), number);
    for number in 0..250 {
        let packet = Packet::Datagram {
            key: at(number),
            to: address("10.0.0.2:53"),
        };
        let dropped = Where::Dropped(Dropped {
            reason: "NETFILTER_DROP".to_owned(),
            location: None,
            class: DropClass::Policy,
        });
        tracker.sighting(sighting(10, A, Where::Sent, packet.clone()));
        tracker.sighting(sighting(11, A, dropped, packet));
    }
    assert_eq!((tracker.traces.len(), tracker.datagrams.len()), (100, 100));
    assert!(tracker.order.len() <= 100);
    assert!(matches!(
        tracker.outcome(&at(249), window(5)),
        Outcome::Dropped { .. }
    ));
    assert!(matches!(
        tracker.outcome(&at(0), window(5)),
        Outcome::Unknown { .. }
    ));
}

#[test]
fn a_forgotten_attempt_leaves_nothing_behind() {
    let mut tracker = tracker();
    let key = key(Protocol::Udp, "10.0.0.1:2000", 9);
    let ask = Packet::Datagram {
        key,
        to: address("10.0.0.2:53"),
    };
    tracker.sighting(sighting(10, A, Where::Sent, ask));
    tracker.forget(&key);
    assert_eq!((tracker.traces.len(), tracker.datagrams.len()), (0, 0));
}

#[test]
fn a_drop_in_another_labs_namespace_is_not_ours() {
    for (scope, seen) in [([A, B], true), ([A, NetnsCookie(77)], false)] {
        let mut tracker = tracker();
        tracker.only_drops_in(scope.into());
        let first = Packet::First {
            key: key(Protocol::Tcp, "10.0.0.1:2000", 9),
            to: address("10.0.0.2:80"),
        };
        let dropped = Where::Dropped(Dropped {
            reason: "NETFILTER_DROP".to_owned(),
            location: None,
            class: DropClass::Policy,
        });
        assert_eq!(tracker.sighting(sighting(11, B, dropped, first)).is_some(), seen);
    }
}
