//! What keeps an outcome from being believed: it may still change, a sensor is silent, a record may have been folded.

use std::{net::SocketAddr, time::Duration};

use super::{appraisal::Asked, destination::Target, ears::Ears, folds::Like};
use crate::{
    finding::{JudgedAttempt, Verdict},
    flow::{Outcome, Reply, UnknownCause},
    net::{AttemptKey, KernelTime, Netns, Protocol},
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

/// A line that accuses nobody where the packet may be an answer: to a question that was judged and let go, that was folded,
/// or that was asked before this verifier listened. Answers are allowed (R2), and of datagrams only the ports tell which is one:
/// who asks does so from a higher port.
pub(super) fn unless_answer(key: &AttemptKey, line: JudgedAttempt) -> JudgedAttempt {
    let may_answer = key.protocol == Protocol::Udp && key.source.port() < line.port;
    if !may_answer || !line.verdict.is_violation() {
        return line;
    }
    JudgedAttempt {
        verdict: Verdict::Inconclusive,
        reason: Some("a datagram to a higher port may answer one that is no longer known".to_owned()),
        ..line
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

#[cfg(test)]
mod tests {
    use super::unless_answer;
    use crate::{
        finding::{JudgedAttempt, Verdict},
        net::{AttemptKey, Protocol},
    };

    fn judged(protocol: Protocol, from: u16, to: u16, verdict: Verdict) -> Verdict {
        let key = AttemptKey {
            protocol,
            source: ([10, 0, 0, 1], from).into(),
            discriminator: 1,
        };
        let line = JudgedAttempt {
            protocol,
            port: to,
            ..JudgedAttempt::example("n/a", "n/b", verdict)
        };
        unless_answer(&key, line).verdict
    }

    #[test]
    fn a_late_answer_of_a_server_accuses_nobody() {
        let (leak, unknown) = (Verdict::Leak, Verdict::Inconclusive);
        assert_eq!(judged(Protocol::Udp, 53, 40_000, leak), unknown);
        assert_eq!(judged(Protocol::Udp, 53, 40_000, Verdict::Overblock), unknown);
        assert_eq!(judged(Protocol::Udp, 40_000, 53, leak), leak, "a question");
        assert_eq!(
            judged(Protocol::Udp, 53, 53, leak),
            leak,
            "nobody's ephemeral port"
        );
        assert_eq!(
            judged(Protocol::Tcp, 53, 40_000, leak),
            leak,
            "a SYN is no answer"
        );
        assert_eq!(
            judged(Protocol::Udp, 53, 40_000, Verdict::Enforced),
            Verdict::Enforced
        );
    }
}
