//! From a judgement to a line of the report.

use std::net::IpAddr;

use super::{outside::is_outside, pairs::Attempt};
use crate::{
    cluster::ObjectName,
    finding::{DropKind, Expected, JudgedAttempt, Observed, Path},
    flow::{Outcome, Reply},
    judge::{Inconclusive, Judgement},
    net::{Family, Protocol, micros},
    observe::DropClass,
    policy::Expectation,
};

/// One word for what is required.
#[must_use]
pub(super) const fn expected(expectation: Expectation) -> Expected {
    match expectation {
        Expectation::Allow => Expected::Allow,
        Expectation::Deny => Expected::Deny,
        Expectation::Unspecified(_) => Expected::Unspecified,
    }
}

const fn observed(outcome: &Outcome) -> Observed {
    match outcome {
        Outcome::Delivered {
            reply: Reply::Lost { .. },
            ..
        } => Observed::ReplyLost,
        Outcome::Delivered { .. } => Observed::Delivered,
        Outcome::Rejected { .. } => Observed::Rejected,
        Outcome::Dropped { .. } => Observed::Dropped,
        Outcome::Unanswered => Observed::Unanswered,
        Outcome::Unknown { .. } => Observed::Unknown,
    }
}

const fn drop_kind(class: DropClass) -> DropKind {
    match class {
        DropClass::Policy => DropKind::Policy,
        DropClass::Neighbour => DropKind::Neighbour,
        DropClass::Routing => DropKind::Routing,
        DropClass::Device => DropKind::Device,
        DropClass::Endpoint => DropKind::Endpoint,
        DropClass::Unclassified => DropKind::Unclassified,
    }
}

/// What a line says of an attempt besides its judgement.
#[derive(Clone, Debug)]
pub struct Label {
    /// The stage it belongs to, by name.
    pub stage: String,
    /// Who opened it.
    pub from: String,
    /// Whom it was for.
    pub to: String,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The destination port at the pod.
    pub port: u16,
    /// The address family.
    pub family: Family,
    /// Whether it crossed nodes.
    pub path: Path,
}

/// A pod by its name, the one outside by its address.
fn shown(name: &ObjectName, address: IpAddr) -> String {
    if is_outside(name) {
        address.to_string()
    } else {
        name.to_string()
    }
}

/// The report's line of a judged attempt.
#[must_use]
pub fn line(
    stage: &str,
    attempt: &Attempt,
    path: Path,
    judgement: &Judgement,
    latency: Option<std::time::Duration>,
) -> JudgedAttempt {
    let label = Label {
        stage: stage.to_owned(),
        from: shown(&attempt.from, attempt.from_address),
        to: attempt.dialled.as_ref().map_or_else(
            || shown(&attempt.to, attempt.to_address),
            |dialled| format!("{} ({}:{})", attempt.to, dialled.door, dialled.port),
        ),
        protocol: attempt.protocol,
        port: attempt.port,
        family: Family::of(attempt.to_address),
        path,
    };
    labelled(label, judgement, latency)
}

/// A judgement in plain words.
#[must_use]
pub fn labelled(label: Label, judgement: &Judgement, latency: Option<std::time::Duration>) -> JudgedAttempt {
    let place = match (&judgement.observed, &judgement.inconclusive) {
        (Outcome::Dropped { place }, _) | (_, Some(Inconclusive::NotByPolicy(place))) => Some(place),
        (
            Outcome::Delivered {
                reply: Reply::Lost { place },
                ..
            },
            _,
        ) => place.as_ref(),
        _ => None,
    };
    JudgedAttempt {
        stage: label.stage,
        from: label.from,
        to: label.to,
        protocol: label.protocol,
        port: label.port,
        family: label.family,
        path: label.path,
        expected: expected(judgement.expected.expectation),
        by: judgement.expected.by(),
        observed: observed(&judgement.observed),
        reason: judgement.reason(),
        drop_kind: place.map(|place| drop_kind(place.class)),
        only_retransmission: matches!(
            judgement.observed,
            Outcome::Delivered {
                only_retransmission: true,
                ..
            }
        ),
        verdict: judgement.verdict,
        latency_micros: latency.map(micros),
    }
}

#[cfg(test)]
mod tests {
    use super::observed;
    use crate::{
        finding::Observed,
        flow::{Outcome, Reply},
    };

    #[test]
    fn a_delivery_without_its_answer_has_a_word_of_its_own() {
        let delivered = |reply| Outcome::Delivered {
            reply,
            only_retransmission: false,
        };
        assert_eq!(
            observed(&delivered(Reply::Lost { place: None })),
            Observed::ReplyLost
        );
        assert_eq!(observed(&delivered(Reply::Returned)), Observed::Delivered);
    }
}
