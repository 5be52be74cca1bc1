//! What holds of every outcome, whatever was seen and in whichever order.

use proptest::prelude::*;

use super::{
    AnswerSeen,
    tests::{
        A, ACCEPT, B, NODE, REFUSE,
        Saw::{self, Delivered, Drop, ReplyBack, ReplyDrop, ReplySent, Sent},
        WINDOW, ask, outcome_of, proven_for, trace,
    },
};
use crate::{bus::LossTotals, flow::Outcome, net::Protocol, observe::DropClass};

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
        for watched in [&[A][..], &[B], &[]] {
            let found = ask(&trace(&saw), Protocol::Tcp, WINDOW, watched, &LossTotals::default());
            prop_assert!(found != Outcome::Unanswered);
            let ends = trace(&saw).network_drops().count() >= trace(&saw).sent_count(A);
            prop_assert!(ends || !matches!(found, Outcome::Rejected { .. }), "{:?}", found);
        }
    }
}
