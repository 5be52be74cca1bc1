//! What keeps an outcome from being believed: it may still change, a sensor is silent, a record may have been folded.

use std::{net::SocketAddr, time::Duration};

use super::{appraisal::Asked, destination::Target, ears::Ears, folds::Like};
use crate::{
    flow::{Outcome, Reply, UnknownCause},
    net::{KernelTime, Netns, Protocol},
};

/// What is silent or dropped is sent again by TCP after a second (RFC 6298); whether that gets through is part of the verdict.
const RETRANSMISSION: Duration = Duration::from_millis(1_500);
/// A sensor speaks every second.
const SILENT: Duration = Duration::from_secs(3);

/// Why an outcome is not final yet, and what to say of it should it never be.
pub(super) fn early(
    now: KernelTime,
    ears: &Ears,
    asked: &Asked<'_>,
    destination: Option<Netns>,
    outcome: &Outcome,
) -> Option<String> {
    if matches!(
        outcome,
        Outcome::Unknown {
            why: UnknownCause::Pending
        }
    ) {
        return Some(silent(now, ears, asked, destination));
    }
    let may_come_again = asked.pending.departure.key.protocol == Protocol::Tcp
        && !matches!(outcome, Outcome::Delivered { .. })
        && now.since(asked.at) < RETRANSMISSION
        && now < asked.pending.deadline;
    may_come_again.then(|| "its retransmission was awaited".to_owned())
}

/// Whose silence keeps it uncertain.
fn silent(now: KernelTime, ears: &Ears, asked: &Asked<'_>, destination: Option<Netns>) -> String {
    let nodes = ears.tracker().nodes();
    let ends = [Some(asked.pending.departure.source), destination];
    let silent = ends.into_iter().flatten().find(|netns| {
        nodes
            .get(netns.node)
            .heard_at()
            .is_none_or(|heard| now.since(heard) > SILENT)
    });
    match silent {
        Some(netns) => {
            let name = node_name(ears, netns);
            match nodes.get(netns.node).heard_at() {
                Some(heard) => format!(
                    "the sensor of node {name} has been silent for {} s",
                    now.since(heard).as_secs()
                ),
                None => format!("the sensor of node {name} has proven nothing yet"),
            }
        }
        None => "what became of it stayed uncertain".to_owned(),
    }
}

/// Whether what was not seen may have been folded into a record of a like packet.
pub(super) fn folded(
    now: KernelTime,
    ears: &Ears,
    asked: &Asked<'_>,
    target: &Target,
    destination: Option<Netns>,
    outcome: &Outcome,
) -> Fold {
    let departure = &asked.pending.departure;
    let (protocol, source) = (departure.key.protocol, departure.key.source);
    let there = SocketAddr::new(target.address, target.port);
    let may_hide = |netns, like| ears.may_have_folded(netns, like, asked.began, now);
    match outcome {
        Outcome::Delivered {
            reply: Reply::Lost { .. },
            ..
        } => {
            let hidden = [there, departure.to]
                .into_iter()
                .any(|from| may_hide(departure.source, Like::answer(protocol, from, source)));
            if hidden { Fold::ReplyOnly } else { Fold::Nothing }
        }
        Outcome::Delivered { .. } | Outcome::Unknown { .. } => Fold::Nothing,
        Outcome::Dropped { .. } | Outcome::Rejected { .. } | Outcome::Unanswered => {
            let like = Like::first(protocol, source, there);
            // Its own arrival was recorded, and stopped behind the interface: then no other record hides it.
            let trace = ears.tracker().trace(&departure.key);
            let arrived = |netns| trace.is_some_and(|trace| trace.deliveries().any(|(at, _)| at == netns));
            let hidden = destination.is_some_and(|netns| !arrived(netns) && may_hide(netns, like));
            if hidden { Fold::Unsure } else { Fold::Nothing }
        }
    }
}

/// What folding may have hidden.
pub(super) enum Fold {
    Nothing,
    ReplyOnly,
    Unsure,
}

/// A node's name, for people.
pub(super) fn node_name(ears: &Ears, netns: Netns) -> String {
    ears.name(netns.node)
        .map_or_else(|| "?".to_owned(), ToString::to_string)
}
