//! Every outcome rule from sightings made by hand.

use std::{net::SocketAddr, time::Duration};

use proptest::prelude::*;

use super::{AnswerSeen, Trace, Window};
use crate::{
    bus::{Announcement, InterfaceState, LossTotals},
    flow::{
        losses::LossLog,
        outcome::{DropPlace, Outcome, Rejection, Reply, UnknownCause},
        tracker::Patience,
        watch::Watch,
    },
    net::{Ifindex, KernelTime, NetnsCookie, Protocol},
    observe::{AnswerKind, DropClass, Dropped},
};

const A: NetnsCookie = NetnsCookie(1);
const B: NetnsCookie = NetnsCookie(2);
const NODE: NetnsCookie = NetnsCookie(9);
const STARTED: u64 = 1_000;
/// Silence lasts 100 ns here, a reply may take 50.
const PATIENCE: Patience = Patience {
    silence: Duration::from_nanos(100),
    reply: Duration::from_nanos(50),
};
/// Long after everything.
const PROVEN: u64 = 100_000;

/// One sighting, at a time after the start.
#[derive(Clone, Copy, Debug)]
enum Saw {
    Sent(u64),
    Delivered(u64, NetnsCookie),
    Drop(u64, DropClass),
    ReplySent(u64),
    ReplyBack(u64, AnswerSeen),
    ReplyDrop(u64, DropClass),
}
use Saw::{Delivered, Drop, ReplyBack, ReplyDrop, ReplySent, Sent};

const ACCEPT: AnswerSeen = AnswerSeen::Tcp(AnswerKind::Accept);
const REFUSE: AnswerSeen = AnswerSeen::Tcp(AnswerKind::Refuse);

fn dropped(class: DropClass) -> Dropped {
    Dropped {
        reason: format!("{class:?}"),
        location: None,
        class,
    }
}

fn place(class: DropClass) -> DropPlace {
    DropPlace {
        netns: NODE,
        ifindex: Ifindex(3),
        reason: format!("{class:?}"),
        location: None,
        class,
    }
}

fn trace(sightings: &[Saw]) -> Trace {
    let at = |after: u64| KernelTime(STARTED + after);
    let mut trace = Trace::default();
    for saw in sightings {
        match *saw {
            Sent(after) => trace.add_sent(at(after), A),
            Delivered(after, netns) => {
                trace.add_delivered(at(after), netns, SocketAddr::from(([10, 0, 0, 2], 80)));
            }
            Drop(after, class) => trace.add_drop(at(after), NODE, Ifindex(3), dropped(class)),
            ReplySent(after) => trace.add_reply_sent(at(after), B),
            ReplyBack(after, seen) => trace.add_reply_delivered(at(after), A, seen),
            ReplyDrop(after, class) => trace.add_reply_drop(at(after), NODE, Ifindex(3), dropped(class)),
        }
    }
    trace
}

fn watched(netns: &[NetnsCookie]) -> Watch {
    let mut watch = Watch::default();
    for cookie in netns {
        watch.announce(&Announcement {
            node: "n".into(),
            netns: *cookie,
            netns_name: String::new(),
            ifindex: Ifindex(2),
            ifname: "eth0".to_owned(),
            addresses: Vec::new(),
            state: InterfaceState::Watched {
                since: KernelTime(STARTED - 1),
            },
        });
    }
    watch
}

const WINDOW: Window = Window {
    source: A,
    destination: Some(B),
    started: KernelTime(STARTED),
    proven: KernelTime(PROVEN),
};

fn outcome_of(sightings: &[Saw], protocol: Protocol, window: Window) -> Outcome {
    trace(sightings).outcome(protocol, window, &watched(&[A, B]), &LossLog::default(), PATIENCE)
}

fn outcome(sightings: &[Saw]) -> Outcome {
    outcome_of(sightings, Protocol::Tcp, WINDOW)
}

fn proven_for(nanos: u64) -> Window {
    Window {
        proven: KernelTime(STARTED + nanos),
        ..WINDOW
    }
}

const fn delivered(reply: Reply) -> Outcome {
    Outcome::Delivered {
        reply,
        only_retransmission: false,
    }
}

const fn unknown(why: UnknownCause) -> Outcome {
    Outcome::Unknown { why }
}

#[test]
fn a_delivery_beats_every_drop() {
    let saw = [
        Sent(1),
        Drop(2, DropClass::Policy),
        Delivered(3, B),
        ReplySent(4),
        ReplyBack(5, REFUSE),
    ];
    assert_eq!(
        outcome(&saw),
        delivered(Reply::Returned),
        "one packet sent: its copy was dropped, not the first try"
    );
}

#[test]
fn a_retransmission_that_passes_after_a_drop_is_told() {
    let saw = [
        Sent(1),
        Drop(2, DropClass::Policy),
        Sent(3),
        Delivered(4, B),
        ReplyBack(5, ACCEPT),
    ];
    assert_eq!(
        outcome(&saw),
        Outcome::Delivered {
            reply: Reply::Returned,
            only_retransmission: true
        }
    );
    let late = [
        Sent(1),
        Delivered(2, B),
        Sent(3),
        Drop(4, DropClass::Policy),
        ReplyBack(5, ACCEPT),
    ];
    assert_eq!(
        outcome(&late),
        delivered(Reply::Returned),
        "the first packet had passed before"
    );
}

#[test]
fn the_end_of_a_packet_in_a_pod_is_no_drop() {
    assert_eq!(
        outcome(&[Sent(1), Drop(2, DropClass::Endpoint)]),
        Outcome::Unanswered,
        "a flooded copy freed elsewhere says nothing"
    );
    assert!(!trace(&[Drop(2, DropClass::Endpoint)]).is_dropped());
    assert!(trace(&[Drop(2, DropClass::Unclassified)]).is_dropped());
}

#[test]
fn a_delivery_to_another_pod_is_none_to_the_asked_one() {
    let saw = [Sent(1), Delivered(2, NetnsCookie(7))];
    assert_eq!(outcome(&saw), Outcome::Unanswered);
    let anyone = Window {
        destination: None,
        ..WINDOW
    };
    assert_eq!(
        outcome_of(&saw, Protocol::Tcp, anyone),
        delivered(Reply::NoneSeen),
        "no pod was asked for"
    );
}

#[test]
fn a_reply_is_pending_until_its_patience_ends_and_then_lost() {
    let saw = [Sent(1), Delivered(2, B), ReplySent(10)];
    assert_eq!(
        outcome_of(&saw, Protocol::Tcp, proven_for(59)),
        unknown(UnknownCause::Pending)
    );
    assert_eq!(
        outcome_of(&saw, Protocol::Tcp, proven_for(60)),
        delivered(Reply::Lost { place: None })
    );
}

#[test]
fn a_lost_reply_names_its_earliest_drop_at_once() {
    let saw = [
        Sent(1),
        Delivered(2, B),
        ReplySent(3),
        ReplyDrop(6, DropClass::Device),
        ReplyDrop(5, DropClass::Policy),
        ReplyDrop(4, DropClass::Endpoint),
    ];
    assert_eq!(
        outcome_of(&saw, Protocol::Tcp, proven_for(6)),
        delivered(Reply::Lost {
            place: Some(place(DropClass::Policy))
        })
    );
}

#[test]
fn a_lost_reply_is_not_told_where_the_source_was_blind() {
    let mut losses = LossLog::default();
    losses.heartbeat(
        &LossTotals {
            by_netns: [(A, 4)].into(),
            ..LossTotals::default()
        },
        KernelTime(PROVEN),
    );
    let found = trace(&[Sent(1), Delivered(2, B), ReplySent(3)]).outcome(
        Protocol::Tcp,
        WINDOW,
        &watched(&[A, B]),
        &losses,
        PATIENCE,
    );
    assert!(
        matches!(
            found,
            Outcome::Unknown {
                why: UnknownCause::RecordsLost { count: 4, .. }
            }
        ),
        "{found:?}"
    );
}

#[test]
fn a_pod_that_says_nothing_sent_no_reply() {
    let saw = [Sent(1), Delivered(2, B)];
    assert_eq!(
        outcome_of(&saw, Protocol::Tcp, proven_for(51)),
        unknown(UnknownCause::Pending)
    );
    assert_eq!(
        outcome_of(&saw, Protocol::Tcp, proven_for(52)),
        delivered(Reply::NoneSeen)
    );
}

#[test]
fn a_datagram_needs_no_answer() {
    let saw = [Sent(1), Delivered(2, B)];
    assert_eq!(
        outcome_of(&saw, Protocol::Udp, proven_for(1)),
        unknown(UnknownCause::Pending)
    );
    assert_eq!(
        outcome_of(&saw, Protocol::Udp, proven_for(2)),
        delivered(Reply::NoneSeen)
    );
    let answered = [
        Sent(1),
        Delivered(2, B),
        ReplySent(3),
        ReplyBack(4, AnswerSeen::Datagram),
    ];
    assert_eq!(
        outcome_of(&answered, Protocol::Udp, WINDOW),
        delivered(Reply::Returned)
    );
}

#[test]
fn a_refusal_without_a_delivery_is_a_rejection() {
    assert_eq!(
        outcome(&[Sent(1), ReplyBack(2, REFUSE)]),
        Outcome::Rejected {
            by: Rejection::TcpReset
        }
    );
    assert_eq!(
        outcome(&[Sent(1), ReplyBack(2, AnswerSeen::Unreachable(13))]),
        Outcome::Rejected {
            by: Rejection::Unreachable { code: 13 }
        }
    );
}

#[test]
fn a_refusal_proves_nothing_where_the_pod_may_have_sent_it_unseen() {
    let saw = trace(&[Sent(1), ReplyBack(5, REFUSE)]);
    let ask =
        |window, watch: &Watch, losses: &LossLog| saw.outcome(Protocol::Tcp, window, watch, losses, PATIENCE);
    let (both, quiet) = (watched(&[A, B]), LossLog::default());
    assert_eq!(ask(proven_for(54), &both, &quiet), unknown(UnknownCause::Pending));
    assert_eq!(
        ask(WINDOW, &watched(&[A]), &quiet),
        unknown(UnknownCause::DestinationNotWatched)
    );
    let nobody = Window {
        destination: None,
        ..WINDOW
    };
    assert_eq!(
        ask(nobody, &both, &quiet),
        unknown(UnknownCause::DestinationNotWatched)
    );
    let mut losses = LossLog::default();
    losses.heartbeat(
        &LossTotals {
            by_netns: [(B, 1)].into(),
            ..LossTotals::default()
        },
        KernelTime(PROVEN),
    );
    let lost = ask(WINDOW, &both, &losses);
    assert!(
        matches!(
            lost,
            Outcome::Unknown {
                why: UnknownCause::RecordsLost { count: 1, .. }
            }
        ),
        "{lost:?}"
    );
}

#[test]
fn a_refusal_by_whoever_freed_the_packet_needs_no_other_proof() {
    let saw = trace(&[Sent(1), ReplyBack(2, REFUSE), Drop(3, DropClass::Policy)]);
    let found = saw.outcome(
        Protocol::Tcp,
        proven_for(0),
        &watched(&[A]),
        &LossLog::default(),
        PATIENCE,
    );
    assert_eq!(
        found,
        Outcome::Rejected {
            by: Rejection::TcpReset
        }
    );
}

#[test]
fn somebody_who_accepts_in_the_pods_place_is_no_enforcement() {
    for saw in [
        vec![Sent(1), ReplyBack(2, ACCEPT)],
        vec![Sent(1), ReplyBack(2, ACCEPT), ReplyBack(3, REFUSE)],
        vec![Sent(1), ReplyBack(2, REFUSE), Sent(3), ReplyBack(4, ACCEPT)],
        vec![Sent(1), ReplyBack(2, AnswerSeen::Datagram)],
    ] {
        assert_eq!(outcome(&saw), unknown(UnknownCause::AnsweredByAnother), "{saw:?}");
    }
}

#[test]
fn the_enforcers_drop_is_named_before_an_earlier_one_of_the_network() {
    let saw = [
        Sent(1),
        Drop(2, DropClass::Neighbour),
        Sent(3),
        Drop(4, DropClass::Policy),
    ];
    assert_eq!(
        outcome_of(&saw, Protocol::Tcp, proven_for(4)),
        Outcome::Dropped {
            place: place(DropClass::Policy)
        },
        "as many drops as packets need no silence"
    );
    assert_eq!(
        outcome(&[Sent(1), Drop(2, DropClass::Routing)]),
        Outcome::Dropped {
            place: place(DropClass::Routing)
        }
    );
}

#[test]
fn fewer_drops_than_packets_wait_for_silence() {
    let saw = [Sent(1), Drop(2, DropClass::Policy), Sent(10)];
    assert_eq!(
        outcome_of(&saw, Protocol::Tcp, proven_for(109)),
        unknown(UnknownCause::Pending)
    );
    assert_eq!(
        outcome_of(&saw, Protocol::Tcp, proven_for(110)),
        Outcome::Dropped {
            place: place(DropClass::Policy)
        }
    );
}

#[test]
fn silence_counts_only_between_watched_pods() {
    let ask = |netns: &[NetnsCookie]| {
        trace(&[Sent(1)]).outcome(
            Protocol::Tcp,
            WINDOW,
            &watched(netns),
            &LossLog::default(),
            PATIENCE,
        )
    };
    assert_eq!(ask(&[A, B]), Outcome::Unanswered);
    assert_eq!(ask(&[B]), unknown(UnknownCause::SourceNotWatched));
    assert_eq!(ask(&[A]), unknown(UnknownCause::DestinationNotWatched));
}

#[test]
fn silence_counts_only_where_nothing_was_lost() {
    for (netns, lost) in [
        (Some(A), true),
        (Some(B), true),
        (None, true),
        (Some(NODE), false),
    ] {
        let mut losses = LossLog::default();
        let mut totals = LossTotals::default();
        match netns {
            Some(one) => drop(totals.by_netns.insert(one, 2)),
            None => totals.unplaced = 2,
        }
        losses.heartbeat(&totals, KernelTime(STARTED + 50));
        let found = trace(&[Sent(1)]).outcome(Protocol::Tcp, WINDOW, &watched(&[A, B]), &losses, PATIENCE);
        if lost {
            assert!(
                matches!(
                    found,
                    Outcome::Unknown {
                        why: UnknownCause::RecordsLost { count: 2, .. }
                    }
                ),
                "{netns:?}: {found:?}"
            );
        } else {
            assert_eq!(found, Outcome::Unanswered, "{netns:?} has no part in it");
        }
    }
}

#[test]
fn what_did_not_leave_is_never_blocked() {
    assert_eq!(outcome(&[]), unknown(UnknownCause::NotSent { place: None }));
    assert_eq!(
        outcome(&[Drop(2, DropClass::Policy)]),
        unknown(UnknownCause::NotSent {
            place: Some(place(DropClass::Policy))
        }),
        "dropped before the pod's interface"
    );
    let elsewhere = Window {
        source: NODE,
        ..WINDOW
    };
    let found = trace(&[Sent(1), Drop(2, DropClass::Policy)]).outcome(
        Protocol::Tcp,
        elsewhere,
        &watched(&[NODE, B]),
        &LossLog::default(),
        PATIENCE,
    );
    assert!(
        matches!(
            found,
            Outcome::Unknown {
                why: UnknownCause::NotSent { .. }
            }
        ),
        "another pod sent it: {found:?}"
    );
}

fn class() -> impl Strategy<Value = DropClass> {
    prop_oneof![
        Just(DropClass::Policy),
        Just(DropClass::Neighbour),
        Just(DropClass::Endpoint),
        Just(DropClass::Unclassified),
    ]
}

fn seen() -> impl Strategy<Value = AnswerSeen> {
    prop_oneof![
        Just(ACCEPT),
        Just(REFUSE),
        Just(AnswerSeen::Datagram),
        any::<u8>().prop_map(AnswerSeen::Unreachable),
    ]
}

fn sighting() -> impl Strategy<Value = fn(u64, DropClass, AnswerSeen) -> Saw> {
    prop_oneof![
        Just((|at, _, _| Sent(at)) as fn(u64, DropClass, AnswerSeen) -> Saw),
        Just((|at, _, _| Delivered(at, B)) as fn(u64, DropClass, AnswerSeen) -> Saw),
        Just((|at, _, _| Delivered(at, NODE)) as fn(u64, DropClass, AnswerSeen) -> Saw),
        Just((|at, class, _| Drop(at, class)) as fn(u64, DropClass, AnswerSeen) -> Saw),
        Just((|at, _, _| ReplySent(at)) as fn(u64, DropClass, AnswerSeen) -> Saw),
        Just((|at, _, seen| ReplyBack(at, seen)) as fn(u64, DropClass, AnswerSeen) -> Saw),
        Just((|at, class, _| ReplyDrop(at, class)) as fn(u64, DropClass, AnswerSeen) -> Saw),
    ]
}

/// Sightings at moments of their own, and the same in another order.
fn shuffled() -> impl Strategy<Value = (Vec<Saw>, Vec<Saw>)> {
    proptest::collection::vec((sighting(), class(), seen()), 0..10)
        .prop_map(|made| -> Vec<Saw> {
            (1..)
                .zip(made)
                .map(|(at, (make, class, seen))| make(at * 7, class, seen))
                .collect()
        })
        .prop_flat_map(|saw| (Just(saw.clone()), Just(saw).prop_shuffle()))
}

proptest! {
    #[test]
    fn the_order_in_which_sightings_arrive_does_not_matter(
        (saw, other) in shuffled(),
        proven in 0_u64..400,
        udp in any::<bool>(),
    ) {
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
        prop_assert_eq!(
            outcome_of(&saw, protocol, proven_for(proven)),
            outcome_of(&other, protocol, proven_for(proven))
        );
    }

    /// The first rule of the house: no denial out of a window that is blind.
    #[test]
    fn a_blind_window_never_tells_silence_or_a_rejection((saw, _) in shuffled()) {
        for watch in [watched(&[A]), watched(&[B]), watched(&[])] {
            let found = trace(&saw).outcome(Protocol::Tcp, WINDOW, &watch, &LossLog::default(), PATIENCE);
            prop_assert!(found != Outcome::Unanswered);
            let ends = trace(&saw).network_drops().count() >= trace(&saw).sent_count(A);
            prop_assert!(ends || !matches!(found, Outcome::Rejected { .. }), "{:?}", found);
        }
    }
}
