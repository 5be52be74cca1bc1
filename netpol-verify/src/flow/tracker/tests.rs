//! The join: sightings by hand, batches by hand.

use std::{net::SocketAddr, time::Duration};

use super::{Patience, Tracker};
use crate::{
    bus::{Announcement, Batch, Heard, InterfaceState, NodeFacts, Origin, SensorFacts, WatchedInterface},
    flow::{Outcome, Reply, UnknownCause, Window},
    net::{AttemptKey, Ifindex, KernelTime, Netns, NetnsCookie, NodeId, Protocol},
    observe::{AnswerKind, DropClass, Dropped, Packet, Sighting, Where},
};

pub(super) const NODE: NodeId = NodeId(0);
pub(super) const A: Netns = Netns {
    node: NODE,
    cookie: NetnsCookie(1),
};
pub(super) const B: Netns = Netns {
    node: NODE,
    cookie: NetnsCookie(2),
};

fn origin(node: &str, session: u64) -> Origin {
    Origin {
        node: node.into(),
        session,
    }
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn key(protocol: Protocol, source: &str, discriminator: u32) -> AttemptKey {
    AttemptKey {
        protocol,
        source: address(source),
        discriminator,
    }
}

pub(super) fn tracker() -> Tracker {
    let mut tracker = Tracker::new(Patience {
        silence: Duration::from_nanos(100),
        reply: Duration::from_nanos(50),
    });
    for netns in [A, B] {
        tracker.announce(&watched("n", netns.cookie, 1));
    }
    tracker
}

fn watched(node: &str, netns: NetnsCookie, since: u64) -> Announcement {
    Announcement {
        origin: origin(node, 1),
        interface: WatchedInterface {
            netns,
            netns_name: String::new(),
            pods: [].into(),
            ifindex: Ifindex(2),
            ifname: "eth0".to_owned(),
            addresses: Vec::new(),
            state: InterfaceState::Watched {
                since: KernelTime(since),
            },
        },
    }
}

pub(super) fn sighting(time: u64, netns: Netns, at: Where, packet: Packet) -> Sighting {
    Sighting {
        time: KernelTime(time),
        netns: netns.cookie,
        ifindex: Ifindex(2),
        at,
        folded: 0,
        packet,
    }
}

pub(super) fn first(key: AttemptKey, to: &str) -> Packet {
    Packet::First { key, to: address(to) }
}

pub(super) fn batch(sequence: u64, drained_at: u64, records: usize) -> Batch {
    Batch {
        origin: origin("n", 1),
        sequence,
        records: vec![0; records * netpol_verify_ebpf::RECORD_SIZE].into(),
        drained_at: KernelTime(drained_at),
        losses: Default::default(),
        functions: Default::default(),
        heard: Vec::new(),
    }
}

pub(super) fn window(started: u64) -> Window {
    Window {
        source: A,
        destination: Some(B),
        started: KernelTime(started),
    }
}

#[test]
fn sightings_find_their_attempt_by_source_and_number_across_a_changed_destination() {
    let mut tracker = tracker();
    let key = key(Protocol::Tcp, "10.0.0.1:2000", 77);
    tracker.sighting(NODE, sighting(10, A, Where::Sent, first(key, "10.96.0.1:80")));
    tracker.sighting(
        NODE,
        sighting(11, B, Where::Delivered, first(key, "10.0.0.2:8080")),
    );
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
        tracker.sighting(NODE, answer(12, B, Where::Sent, "10.0.0.2:8080")),
        Some(key)
    );
    tracker.sighting(NODE, answer(13, A, Where::Delivered, "10.96.0.1:80"));
    tracker.batch(&batch(1, 20, 0), KernelTime(0));
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
    tracker.sighting(NODE, sighting(10, A, Where::Sent, first(key, "10.0.0.2:80")));
    tracker.sighting(NODE, sighting(11, B, Where::Flooded, first(key, "10.0.0.2:80")));
    tracker.batch(&batch(1, 1_000, 0), KernelTime(0));
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
    tracker.sighting(NODE, sighting(10, A, Where::Sent, ask("10.96.0.10:53")));
    tracker.sighting(NODE, sighting(11, B, Where::Delivered, ask("10.0.0.2:53")));
    assert_eq!(
        tracker.sighting(NODE, sighting(12, B, Where::Sent, answer("10.0.0.2:53"))),
        Some(asked)
    );
    assert_eq!(
        tracker.sighting(NODE, sighting(13, A, Where::Delivered, answer("10.96.0.10:53"))),
        Some(asked)
    );
    tracker.batch(&batch(1, 20, 0), KernelTime(0));
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
        assert_eq!(
            tracker.sighting(NODE, sighting(10, A, Where::Delivered, packet)),
            None
        );
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
    tracker.sighting(NODE, sighting(10, A, Where::Sent, ask));
    tracker.sighting(
        NODE,
        sighting(11, A, Where::Delivered, Packet::Error { about: key, code: 13 }),
    );
    tracker.batch(&batch(1, 200, 0), KernelTime(0));
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
    tracker.batch(&batch(1, 100, 0), KernelTime(0));
    let key = key(Protocol::Tcp, "10.0.0.1:2000", 77);
    tracker.sighting(NODE, sighting(110, A, Where::Sent, first(key, "10.0.0.2:80")));
    // Batch 2 is missing. Batch 3 has records, so it proves nothing later than the heartbeat before both.
    tracker.batch(&batch(3, 100, 1), KernelTime(0));
    tracker.batch(&batch(4, 400, 0), KernelTime(0));
    assert_eq!(lost(&tracker.outcome(&key, window(105))), Some(1));
    tracker.batch(&batch(5, 1_000, 0), KernelTime(0));
    let later = AttemptKey {
        discriminator: 78,
        ..key
    };
    tracker.sighting(NODE, sighting(510, A, Where::Sent, first(later, "10.0.0.2:80")));
    assert_eq!(
        tracker.outcome(&later, window(505)),
        Outcome::Unanswered,
        "the gap was before"
    );
}

#[test]
fn a_damaged_record_blinds_as_a_missing_one() {
    let mut tracker = tracker();
    tracker.batch(&batch(1, 100, 0), KernelTime(0));
    let key = key(Protocol::Tcp, "10.0.0.1:2000", 77);
    tracker.sighting(NODE, sighting(110, A, Where::Sent, first(key, "10.0.0.2:80")));
    tracker.damage(NODE, 1);
    tracker.batch(&batch(2, 100, 1), KernelTime(0));
    tracker.batch(&batch(3, 400, 0), KernelTime(0));
    assert_eq!(lost(&tracker.outcome(&key, window(105))), Some(1));
}

#[test]
fn a_sensor_that_starts_again_counts_from_one_and_no_number_overflows() {
    let mut tracker = tracker();
    tracker.batch(&batch(u64::MAX, 100, 0), KernelTime(0));
    for (sequence, drained_at) in [(1, 200), (2, 300)] {
        let again = Batch {
            origin: origin("n", 2),
            ..batch(sequence, drained_at, 0)
        };
        tracker.batch(&again, KernelTime(0));
    }
    assert_eq!(tracker.nodes().get(NODE).losses().totals().len(), 0);
    assert_eq!(tracker.nodes().get(NODE).proven(), KernelTime(300));
}

#[test]
fn only_a_heartbeat_proves() {
    let mut tracker = tracker();
    tracker.batch(&batch(1, 500, 3), KernelTime(0));
    assert_eq!(tracker.nodes().get(NODE).proven(), KernelTime(0));
    tracker.batch(&batch(2, 500, 0), KernelTime(0));
    assert_eq!(tracker.nodes().get(NODE).proven(), KernelTime(500));
    tracker.batch(&batch(3, 400, 0), KernelTime(0));
    assert_eq!(
        tracker.nodes().get(NODE).proven(),
        KernelTime(500),
        "time does not go back"
    );
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
        tracker.sighting(NODE, sighting(10, A, Where::Sent, packet.clone()));
        tracker.sighting(NODE, sighting(11, A, dropped, packet));
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
    tracker.sighting(NODE, sighting(10, A, Where::Sent, ask));
    tracker.forget(&key);
    assert_eq!((tracker.traces.len(), tracker.datagrams.len()), (0, 0));
}

#[test]
fn a_drop_in_another_labs_namespace_is_not_ours() {
    for (scope, seen) in [([A.cookie, B.cookie], true), ([A.cookie, NetnsCookie(77)], false)] {
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
        assert_eq!(
            tracker.sighting(NODE, sighting(11, B, dropped, first)).is_some(),
            seen
        );
    }
}

/// Node `n` is five seconds ahead of the verifier, node `m` three behind; the bus takes up to a millisecond each way.
struct TwoNodes {
    tracker: Tracker,
    sequence: u64,
}

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
const HERE: u64 = 100 * SECOND;

impl TwoNodes {
    fn new() -> Self {
        let patience = Patience {
            silence: Duration::from_millis(500),
            reply: Duration::from_millis(200),
        };
        let mut two = Self {
            tracker: Tracker::of_cluster(patience, "me"),
            sequence: 0,
        };
        two.tracker.announce(&watched("n", A.cookie, 1));
        two.tracker.announce(&watched("m", A.cookie, 1));
        two
    }

    const fn on(node: &str, here: u64) -> u64 {
        match node.as_bytes() {
            b"n" => here + 5 * SECOND,
            _ => here - 3 * SECOND,
        }
    }

    /// A heartbeat of both nodes, said at a moment of ours.
    fn heartbeat(&mut self, said: u64) {
        self.sequence += 1;
        for node in ["n", "m"] {
            self.heartbeat_of(node, said);
        }
    }

    fn heartbeat_of(&mut self, node: &str, said: u64) {
        let heard = Heard {
            verifier: "me".to_owned(),
            called_at: KernelTime(said - 2 * MILLISECOND),
            heard_at: KernelTime(Self::on(node, said - MILLISECOND)),
        };
        let beat = Batch {
            origin: origin(node, 1),
            heard: vec![heard],
            ..batch(self.sequence, Self::on(node, said), 0)
        };
        self.tracker.batch(&beat, KernelTime(said + MILLISECOND));
    }

    fn window(&mut self) -> Window {
        let netns = |node| Netns {
            node,
            cookie: A.cookie,
        };
        Window {
            source: netns(self.tracker.node(&"n".into())),
            destination: Some(netns(self.tracker.node(&"m".into()))),
            started: KernelTime(HERE),
        }
    }

    fn see(&mut self, node: &str, here: u64, at: Where) -> AttemptKey {
        let key = key(Protocol::Tcp, "10.0.0.1:2000", 77);
        let id = self.tracker.node(&node.into());
        let seen = sighting(Self::on(node, here), A, at, first(key, "10.0.0.2:80"));
        self.tracker.sighting(id, seen);
        key
    }
}

#[test]
fn two_nodes_with_equal_cookies_and_unlike_clocks_are_told_apart() {
    let mut two = TwoNodes::new();
    two.heartbeat(HERE - SECOND);
    let key = two.see("n", HERE + 1, Where::Sent);
    let window = two.window();
    two.heartbeat(HERE + SECOND);
    assert_eq!(two.tracker.outcome(&key, window), Outcome::Unanswered);
    two.see("m", HERE + 2, Where::Delivered);
    assert!(matches!(
        two.tracker.outcome(&key, window),
        Outcome::Delivered { .. }
    ));
}

#[test]
fn silence_is_proven_by_both_nodes_or_not_at_all() {
    let mut two = TwoNodes::new();
    two.heartbeat(HERE - SECOND);
    let key = two.see("n", HERE + 1, Where::Sent);
    let window = two.window();
    two.sequence += 1;
    two.heartbeat_of("n", HERE + SECOND);
    let pending = Outcome::Unknown {
        why: UnknownCause::Pending,
    };
    assert_eq!(
        two.tracker.outcome(&key, window),
        pending,
        "the destination is behind"
    );
    two.heartbeat_of("m", HERE + SECOND);
    assert_eq!(two.tracker.outcome(&key, window), Outcome::Unanswered);
}

#[test]
fn a_node_whose_clock_is_not_known_proves_nothing() {
    let mut two = TwoNodes::new();
    let key = two.see("n", HERE + 1, Where::Sent);
    let window = two.window();
    for (number, node) in [(1, "n"), (1, "m"), (2, "n"), (2, "m")] {
        let beat = Batch {
            origin: origin(node, 1),
            ..batch(number, TwoNodes::on(node, HERE + number * SECOND), 0)
        };
        two.tracker.batch(&beat, KernelTime(HERE + number * SECOND));
    }
    assert!(matches!(
        two.tracker.outcome(&key, window),
        Outcome::Unknown {
            why: UnknownCause::Pending
        }
    ));
}

#[test]
fn a_sensor_that_starts_again_in_the_window_proves_nothing_of_it() {
    let mut two = TwoNodes::new();
    two.heartbeat(HERE - SECOND);
    let key = two.see("n", HERE + 1, Where::Sent);
    let window = two.window();
    // The sensor of the destination was killed and came back, and watches the pod again.
    let mut again = watched("m", A.cookie, TwoNodes::on("m", HERE + 100 * MILLISECOND));
    again.origin.session = 2;
    two.tracker.announce(&again);
    for said in [HERE + SECOND, HERE + 2 * SECOND] {
        two.sequence += 1;
        two.heartbeat_of("n", said);
        let heard = Heard {
            verifier: "me".to_owned(),
            called_at: KernelTime(said - 2 * MILLISECOND),
            heard_at: KernelTime(TwoNodes::on("m", said - MILLISECOND)),
        };
        let beat = Batch {
            origin: origin("m", 2),
            heard: vec![heard],
            ..batch(two.sequence - 1, TwoNodes::on("m", said), 0)
        };
        two.tracker.batch(&beat, KernelTime(said + MILLISECOND));
    }
    assert!(matches!(
        two.tracker.outcome(&key, window),
        Outcome::Unknown {
            why: UnknownCause::DestinationNotWatched
        }
    ));
}

#[test]
fn where_two_nodes_share_a_kernel_a_drop_counts_once() {
    let mut two = TwoNodes::new();
    for (node, host) in [("n", 500), ("m", 600)] {
        two.tracker.facts(&NodeFacts {
            origin: origin(node, 1),
            facts: SensorFacts {
                host_netns: NetnsCookie(host),
                ..SensorFacts::default()
            },
        });
    }
    two.heartbeat(HERE - SECOND);
    // Sent twice; the first was dropped in the namespace of node `m`, and both sensors saw that.
    let key = two.see("n", HERE + 1, Where::Sent);
    two.see("n", HERE + 2, Where::Sent);
    for node in ["n", "m"] {
        let id = two.tracker.node(&node.into());
        let dropped = Where::Dropped(Dropped {
            reason: "NETFILTER_DROP".to_owned(),
            location: None,
            class: DropClass::Policy,
        });
        let at = Sighting {
            netns: NetnsCookie(600),
            ..sighting(
                TwoNodes::on(node, HERE + 3),
                A,
                dropped,
                first(key, "10.0.0.2:80"),
            )
        };
        two.tracker.sighting(id, at);
    }
    let window = two.window();
    assert!(
        matches!(two.tracker.outcome(&key, window), Outcome::Unknown { .. }),
        "the second packet's end was not seen"
    );
    two.heartbeat(HERE + SECOND);
    assert!(matches!(
        two.tracker.outcome(&key, window),
        Outcome::Dropped { .. }
    ));
}
