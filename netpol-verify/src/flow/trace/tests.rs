//! Every outcome rule from sightings made by hand.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{AnswerSeen, Trace, Window};
use crate::{
    bus::{Batch, InterfaceState, LossTotals, Origin, WatchedInterface},
    flow::{
        clock::NodeClock,
        node::Nodes,
        outcome::{DropPlace, Outcome, Rejection, Reply, UnknownCause},
        tracker::Patience,
    },
    net::{Ifindex, KernelTime, Netns, NetnsCookie, NodeId, Protocol},
    observe::{AnswerKind, DropClass, Dropped},
};

pub(super) const A: Netns = of_node(1);
pub(super) const B: Netns = of_node(2);
pub(super) const NODE: Netns = of_node(9);

const fn of_node(cookie: u64) -> Netns {
    Netns {
        node: NodeId(0),
        cookie: NetnsCookie(cookie),
    }
}
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
pub(super) enum Saw {
    Sent(u64),
    Delivered(u64, Netns),
    Drop(u64, DropClass),
    ReplySent(u64),
    ReplyBack(u64, AnswerSeen),
    ReplyDrop(u64, DropClass),
}
use Saw::{Delivered, Drop, ReplyBack, ReplyDrop, ReplySent, Sent};

pub(super) const ACCEPT: AnswerSeen = AnswerSeen::Tcp(AnswerKind::Accept);
pub(super) const REFUSE: AnswerSeen = AnswerSeen::Tcp(AnswerKind::Refuse);

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

pub(super) fn trace(sightings: &[Saw]) -> Trace {
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

/// A node that watches these namespaces, has lost so much by `STARTED + 50`, and has proven everything up to a moment.
fn nodes(watched: &[Netns], totals: &LossTotals, proven: u64) -> Nodes {
    let origin = Origin {
        node: "n".into(),
        session: 1,
    };
    let mut nodes = Nodes::default();
    let id = nodes.id(&origin.node);
    let node = nodes.get_mut(id);
    node.session(&origin, NodeClock::shared());
    for netns in watched {
        node.watch.announce(&WatchedInterface {
            netns: netns.cookie,
            netns_name: String::new(),
            pods: [].into(),
            ifindex: Ifindex(2),
            ifname: "eth0".to_owned(),
            addresses: Vec::new(),
            state: InterfaceState::Watched {
                since: KernelTime(STARTED - 1),
            },
        });
    }
    for (sequence, drained_at) in [(1, proven.min(STARTED + 50)), (2, proven)] {
        let heartbeat = Batch {
            origin: origin.clone(),
            sequence,
            records: Default::default(),
            drained_at: KernelTime(drained_at),
            losses: Arc::new(totals.clone()),
            functions: Default::default(),
            heard: Vec::new(),
        };
        node.batch(&heartbeat, KernelTime(drained_at));
    }
    nodes
}

/// A window, and how far the sensors' proof reaches.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    window: Window,
    proven: u64,
}

pub(super) const WINDOW: Asked = Asked {
    window: Window {
        source: A,
        destination: Some(B),
        started: KernelTime(STARTED),
    },
    proven: PROVEN,
};

pub(super) fn ask(
    saw: &Trace,
    protocol: Protocol,
    asked: Asked,
    watched: &[Netns],
    totals: &LossTotals,
) -> Outcome {
    saw.outcome(
        protocol,
        asked.window,
        &nodes(watched, totals, asked.proven),
        PATIENCE,
    )
}

pub(super) fn outcome_of(sightings: &[Saw], protocol: Protocol, asked: Asked) -> Outcome {
    ask(
        &trace(sightings),
        protocol,
        asked,
        &[A, B],
        &LossTotals::default(),
    )
}

fn lost(netns: Netns, count: u64) -> LossTotals {
    LossTotals {
        by_netns: [(netns.cookie, count)].into(),
        ..LossTotals::default()
    }
}

fn outcome(sightings: &[Saw]) -> Outcome {
    outcome_of(sightings, Protocol::Tcp, WINDOW)
}

pub(super) const fn proven_for(nanos: u64) -> Asked {
    Asked {
        proven: STARTED + nanos,
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
    let saw = [Sent(1), Delivered(2, of_node(7))];
    assert_eq!(outcome(&saw), Outcome::Unanswered);
    let anyone = Asked {
        window: Window {
            destination: None,
            ..WINDOW.window
        },
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
    let saw = trace(&[Sent(1), Delivered(2, B), ReplySent(3)]);
    let found = ask(&saw, Protocol::Tcp, WINDOW, &[A, B], &lost(A, 4));
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
        |asked, watched: &[Netns], totals: &LossTotals| ask(&saw, Protocol::Tcp, asked, watched, totals);
    let (both, quiet) = ([A, B], LossTotals::default());
    assert_eq!(ask(proven_for(54), &both, &quiet), unknown(UnknownCause::Pending));
    assert_eq!(
        ask(WINDOW, &[A], &quiet),
        unknown(UnknownCause::DestinationNotWatched)
    );
    let nobody = Asked {
        window: Window {
            destination: None,
            ..WINDOW.window
        },
        ..WINDOW
    };
    assert_eq!(
        ask(nobody, &both, &quiet),
        unknown(UnknownCause::DestinationNotWatched)
    );
    let lost = ask(WINDOW, &both, &lost(B, 1));
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
    let found = ask(&saw, Protocol::Tcp, proven_for(0), &[A], &LossTotals::default());
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
    let ask = |netns: &[Netns]| {
        ask(
            &trace(&[Sent(1)]),
            Protocol::Tcp,
            WINDOW,
            netns,
            &LossTotals::default(),
        )
    };
    assert_eq!(ask(&[A, B]), Outcome::Unanswered);
    assert_eq!(ask(&[B]), unknown(UnknownCause::SourceNotWatched));
    assert_eq!(ask(&[A]), unknown(UnknownCause::DestinationNotWatched));
}

#[test]
fn silence_counts_only_where_nothing_was_lost() {
    for (netns, is_lost) in [
        (Some(A), true),
        (Some(B), true),
        (None, true),
        (Some(NODE), false),
    ] {
        let totals = netns.map_or_else(
            || LossTotals {
                unplaced: 2,
                ..LossTotals::default()
            },
            |one| lost(one, 2),
        );
        let found = ask(&trace(&[Sent(1)]), Protocol::Tcp, WINDOW, &[A, B], &totals);
        if is_lost {
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
    let elsewhere = Asked {
        window: Window {
            source: NODE,
            ..WINDOW.window
        },
        ..WINDOW
    };
    let saw = trace(&[Sent(1), Drop(2, DropClass::Policy)]);
    let found = ask(&saw, Protocol::Tcp, elsewhere, &[NODE, B], &LossTotals::default());
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
