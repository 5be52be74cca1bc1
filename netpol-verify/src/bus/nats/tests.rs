//! Whatever a sensor can say survives the wire, alone and in company, and nothing else is believed.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use bytes::Bytes;
use netpol_verify_ebpf::RECORD_SIZE;
use proptest::{collection::vec, prelude::*};

use super::{
    queue::{Queue, QueueLimits},
    refusal::Refusal,
    wire::{Frame, Piece, join, read},
};
use crate::{
    bus::{
        Announcement, Batch, Heard, InterfaceState, LossTotals, Message, NodeFacts, Origin, Roster,
        SensorFacts, WatchedInterface,
    },
    net::{Ifindex, KernelTime, NetnsCookie},
};

fn origin() -> Origin {
    Origin {
        node: "node-1.example.com".into(),
        session: u64::MAX,
    }
}

fn interface() -> impl Strategy<Value = WatchedInterface> {
    let state = prop_oneof![
        any::<u64>().prop_map(|at| InterfaceState::Watched {
            since: KernelTime(at)
        }),
        any::<String>().prop_map(|why| InterfaceState::Failed { why }),
        any::<u64>().prop_map(|at| InterfaceState::Gone { at: KernelTime(at) }),
    ];
    let names = (any::<String>(), any::<String>());
    let pods = prop::collection::btree_set(any::<String>(), 0..3);
    let numbers = (any::<u64>(), any::<u32>());
    (names, pods, numbers, vec(any::<IpAddr>(), 0..3), state).prop_map(
        |((netns_name, ifname), pods, (netns, ifindex), addresses, state)| WatchedInterface {
            netns: NetnsCookie(netns),
            netns_name,
            pods,
            ifindex: Ifindex(ifindex),
            ifname,
            addresses,
            state,
        },
    )
}

fn batch() -> impl Strategy<Value = Message> {
    let losses = (
        prop::collection::btree_map(any::<u64>().prop_map(NetnsCookie), any::<u64>(), 0..4),
        any::<u64>(),
        vec(any::<u64>(), 0..4),
        any::<u64>(),
    );
    let heard = vec((any::<String>(), any::<u64>(), any::<u64>()), 0..3);
    let functions = prop::collection::btree_map(any::<u64>(), any::<String>(), 0..3);
    let records = (0..4_usize).prop_flat_map(|count| vec(any::<u8>(), count * RECORD_SIZE));
    (any::<u64>(), records, any::<u64>(), losses, functions, heard).prop_map(
        |(sequence, records, at, (by_netns, unplaced, counters, not_published), functions, heard)| {
            Message::Batch(Batch {
                origin: origin(),
                sequence,
                records: records.into(),
                drained_at: KernelTime(at),
                losses: Arc::new(LossTotals {
                    by_netns,
                    unplaced,
                    counters,
                    not_published,
                    read_at: KernelTime(at / 2),
                }),
                functions,
                heard: heard
                    .into_iter()
                    .map(|(verifier, called_at, heard_at)| Heard {
                        verifier,
                        called_at: KernelTime(called_at),
                        heard_at: KernelTime(heard_at),
                    })
                    .collect(),
            })
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let facts = (any::<String>(), any::<i64>(), vec(any::<String>(), 0..3));
    prop_oneof![
        3 => batch(),
        1 => interface().prop_map(|interface| Message::Announcement(Announcement { origin: origin(), interface })),
        1 => (any::<u64>(), vec(interface(), 0..5)).prop_map(|(at, interfaces)| Message::Roster(Roster {
            origin: origin(),
            at: KernelTime(at),
            interfaces,
        })),
        1 => facts.prop_map(|(kernel, wall_clock, notes)| Message::Node(NodeFacts {
            origin: origin(),
            facts: SensorFacts { kernel, wall_clock, notes, ..SensorFacts::default() },
        })),
    ]
}

fn framed(messages: &[Message]) -> Frame {
    let pieces = messages
        .iter()
        .map(|message| Piece::new(message.clone()).unwrap())
        .collect();
    join(&origin(), pieces).unwrap()
}

proptest! {
    #[test]
    fn what_is_said_is_read(messages in vec(message(), 1..6)) {
        let frame = framed(&messages);
        let found = read(&frame.subject, Some(&frame.headers), frame.payload).unwrap();
        prop_assert_eq!(format!("{found:?}"), format!("{messages:?}"));
    }

    #[test]
    fn nothing_that_is_damaged_panics(
        messages in vec(message(), 1..4), at in any::<prop::sample::Index>(), bit in 0..8_u8, cut in any::<prop::sample::Index>()
    ) {
        let frame = framed(&messages);
        let mut bytes = frame.payload.to_vec();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        let _ = read(&frame.subject, Some(&frame.headers), bytes.into());
        let index = frame.headers.get("Npv-Index").unwrap().as_str();
        let end = index.char_indices().nth(cut.index(index.chars().count())).map_or(0, |(at, _)| at);
        let mut headers = frame.headers.clone();
        headers.insert("Npv-Index", &index[..end]);
        prop_assert!(read(&frame.subject, Some(&headers), frame.payload).is_err());
    }
}

fn heartbeat(losses: LossTotals) -> Batch {
    Batch {
        origin: origin(),
        sequence: 1,
        records: Bytes::new(),
        drained_at: KernelTime(0),
        losses: losses.into(),
        functions: BTreeMap::new(),
        heard: Vec::new(),
    }
}

#[test]
fn records_alone_are_not_copied() {
    let mut batch = heartbeat(LossTotals::default());
    batch.records = vec![7; RECORD_SIZE * 3].into();
    let place = batch.records.as_ptr();
    let frame = framed(&[Message::Batch(batch)]);
    assert_eq!(frame.payload.as_ptr(), place);
    let read = read(&frame.subject, Some(&frame.headers), frame.payload).unwrap();
    assert!(matches!(&read[..], [Message::Batch(batch)] if batch.records.as_ptr() == place));
}

#[test]
fn an_index_too_long_for_a_header_goes_before_the_bodies() {
    let losses = LossTotals {
        by_netns: (0..5_000).map(|pod| (NetnsCookie(pod), u64::MAX)).collect(),
        ..LossTotals::default()
    };
    let mut batch = heartbeat(losses);
    batch.records = vec![9; RECORD_SIZE].into();
    let said = [Message::Batch(batch.clone()), Message::Batch(batch)];
    for said in [&said[..], &said[..1]] {
        let frame = framed(said);
        assert!(frame.headers.get("Npv-Index").is_none());
        let found = read(&frame.subject, Some(&frame.headers), frame.payload).unwrap();
        assert_eq!(format!("{found:?}"), format!("{said:?}"));
    }
}

#[test]
fn a_frame_from_another_subject_is_refused() {
    let frame = framed(&[Message::Batch(heartbeat(LossTotals::default()))]);
    let refusal = read("npv.sensors.other", Some(&frame.headers), frame.payload).unwrap_err();
    assert!(matches!(refusal, Refusal::Origin { .. }), "{refusal}");
}

#[test]
fn records_cannot_take_the_room_of_the_rest_and_what_is_on_its_way_counts() {
    let limits = QueueLimits {
        bytes: 10_000,
        messages: 100,
        reserve: 2_000,
    };
    let mut queue = Queue::new(limits);
    let mut batch = heartbeat(LossTotals::default());
    batch.records = vec![0; RECORD_SIZE * 20].into();
    let batch = Message::Batch(batch);
    let facts = Message::Node(NodeFacts {
        origin: origin(),
        facts: SensorFacts::default(),
    });
    let taken = (0..10).filter(|_| queue.push(batch.clone()).is_ok()).count();
    assert_eq!(taken, 2);
    assert!(queue.push(facts.clone()).is_ok());
    let (_, cost) = queue.pop().unwrap();
    assert!(queue.push(batch.clone()).is_err(), "it is not stored yet");
    queue.settle(cost);
    assert!(queue.push(batch).is_ok());
    let more = (0..1_000).filter(|_| queue.push(facts.clone()).is_ok()).count();
    assert!((5..50).contains(&more), "{more} in the reserve");
}

#[test]
fn one_message_larger_than_the_queue_passes_alone() {
    let mut queue = Queue::new(QueueLimits {
        bytes: 1,
        messages: 1,
        reserve: 0,
    });
    let batch = Message::Batch(heartbeat(LossTotals::default()));
    assert!(queue.push(batch.clone()).is_ok());
    assert!(queue.push(batch).is_err());
}
