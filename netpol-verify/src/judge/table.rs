//! The table: every pair of expectation and outcome, and what follows. No arm swallows the unknown.

use super::verdict::{Inconclusive, Verdict};
use crate::{
    flow::{DropPlace, Outcome, Rejection, Reply, UnknownCause},
    observe::DropClass,
    policy::{Decision, Expectation},
};

/// What must happen, what happened, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What the policies require, and why.
    pub expected: Decision,
    /// What the packets did.
    pub observed: Outcome,
    /// What follows.
    pub verdict: Verdict,
    /// Why nothing follows, where the verdict is [`Verdict::Inconclusive`].
    pub inconclusive: Option<Inconclusive>,
}

/// Judges one attempt.
#[must_use]
pub fn judge(expected: Decision, observed: Outcome) -> Judgement {
    let (verdict, inconclusive) = verdict(expected.expectation, &observed);
    Judgement {
        expected,
        observed,
        verdict,
        inconclusive,
    }
}

fn verdict(expectation: Expectation, outcome: &Outcome) -> (Verdict, Option<Inconclusive>) {
    use Expectation::{Allow, Deny, Unspecified};
    let sure = |verdict| (verdict, None);
    match (expectation, outcome) {
        (Unspecified(_), Outcome::Delivered { .. }) => sure(Verdict::Unspecified),
        (Unspecified(_), Outcome::Rejected { .. }) => sure(Verdict::Unspecified),
        (Unspecified(_), Outcome::Dropped { .. }) => sure(Verdict::Unspecified),
        (Unspecified(_), Outcome::Unanswered) => sure(Verdict::Unspecified),
        (Unspecified(_), Outcome::Unknown { .. }) => sure(Verdict::Unspecified),

        (
            Allow,
            Outcome::Delivered {
                reply: Reply::Returned | Reply::NoneSeen,
                ..
            },
        ) => sure(Verdict::Permitted),
        // Replies of an allowed connection are implied (R2).
        (
            Allow,
            Outcome::Delivered {
                reply: Reply::Lost { .. },
                ..
            },
        ) => sure(Verdict::Overblock),
        (Allow, Outcome::Rejected { .. }) => sure(Verdict::Overblock),
        (Allow, Outcome::Dropped { .. }) => sure(Verdict::Overblock),
        (Allow, Outcome::Unanswered) => sure(Verdict::Overblock),

        // One way is enough: what is denied must not arrive, answered or not.
        (Deny, Outcome::Delivered { .. }) => sure(Verdict::Leak),
        (Deny, Outcome::Rejected { .. }) => sure(Verdict::Enforced),
        (Deny, Outcome::Unanswered) => sure(Verdict::Enforced),
        (Deny, Outcome::Dropped { place }) => match place.class {
            DropClass::Policy => sure(Verdict::Enforced),
            // No reason is given (an older kernel, another subsystem): as good as silence, which was proven.
            DropClass::Unclassified => sure(Verdict::Enforced),
            DropClass::Neighbour | DropClass::Routing | DropClass::Device | DropClass::Endpoint => (
                Verdict::Inconclusive,
                Some(Inconclusive::NotByPolicy(place.clone())),
            ),
        },

        (Allow | Deny, Outcome::Unknown { why }) => {
            (Verdict::Inconclusive, Some(Inconclusive::Outcome(why.clone())))
        }
    }
}

impl Judgement {
    /// The evidence in a few words: where and why it was dropped, how it was rejected, why it cannot be told.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        if let Some(Inconclusive::NotByPolicy(place)) = &self.inconclusive {
            return Some(format!(
                "{}: no enforcer's drop, so it proves nothing of the policy",
                at(place)
            ));
        }
        match &self.observed {
            Outcome::Delivered {
                only_retransmission: true,
                ..
            } => Some("the first packet was dropped, its retransmission was delivered".to_owned()),
            Outcome::Delivered {
                reply: Reply::Lost { place: Some(place) },
                ..
            } => Some(format!("the reply was dropped: {}", at(place))),
            Outcome::Delivered {
                reply: Reply::Lost { place: None },
                ..
            } => Some("the pod's reply never reached the source".to_owned()),
            Outcome::Delivered { .. } | Outcome::Unanswered => None,
            Outcome::Rejected {
                by: Rejection::TcpReset,
            } => Some("TCP reset, not sent by the pod".to_owned()),
            Outcome::Rejected {
                by: Rejection::Unreachable { code },
            } => Some(format!("ICMP unreachable, code {code}")),
            Outcome::Dropped { place } => Some(at(place)),
            Outcome::Unknown { why } => Some(unknown(why)),
        }
    }
}

fn at(place: &DropPlace) -> String {
    match &place.location {
        Some(location) => format!("{} at {location}", place.reason),
        None => place.reason.clone(),
    }
}

fn unknown(why: &UnknownCause) -> String {
    match why {
        UnknownCause::NotSent { place: Some(place) } => {
            format!("the probe never left the pod: {}", at(place))
        }
        UnknownCause::NotSent { place: None } => "the probe was not seen leaving the pod".to_owned(),
        UnknownCause::DestinationNotWatched => {
            "the destination's interface was not watched for the whole window".to_owned()
        }
        UnknownCause::SourceNotWatched => {
            "the source's interface was not watched for the whole window".to_owned()
        }
        UnknownCause::AnsweredByAnother => "somebody else answered in the destination pod's place".to_owned(),
        UnknownCause::RecordsLost { count, step } => format!("{count} records were lost {step}"),
        UnknownCause::Pending => "the window closed before anything was certain".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Inconclusive, judge};
    use crate::{
        flow::{DropPlace, Outcome, Rejection, Reply, UnknownCause},
        judge::Verdict,
        net::{Ifindex, Netns},
        observe::DropClass,
        policy::{Decision, Expectation, Side, Unspecified},
    };

    fn decision(expectation: Expectation) -> Decision {
        Decision {
            expectation,
            egress: Side::default(),
            ingress: Side::default(),
        }
    }

    fn dropped(class: DropClass) -> Outcome {
        let place = DropPlace {
            netns: Netns::default(),
            ifindex: Ifindex(1),
            reason: "X".to_owned(),
            location: None,
            class,
        };
        Outcome::Dropped { place }
    }

    fn delivered(reply: Reply) -> Outcome {
        Outcome::Delivered {
            reply,
            only_retransmission: false,
        }
    }

    fn all_outcomes() -> Vec<Outcome> {
        vec![
            delivered(Reply::Returned),
            delivered(Reply::NoneSeen),
            delivered(Reply::Lost { place: None }),
            Outcome::Delivered {
                reply: Reply::Returned,
                only_retransmission: true,
            },
            Outcome::Rejected {
                by: Rejection::TcpReset,
            },
            Outcome::Rejected {
                by: Rejection::Unreachable { code: 13 },
            },
            dropped(DropClass::Policy),
            dropped(DropClass::Neighbour),
            dropped(DropClass::Routing),
            dropped(DropClass::Device),
            dropped(DropClass::Unclassified),
            Outcome::Unanswered,
            Outcome::Unknown {
                why: UnknownCause::NotSent { place: None },
            },
            Outcome::Unknown {
                why: UnknownCause::RecordsLost { count: 1, step: "x" },
            },
        ]
    }

    #[test]
    fn the_unknown_is_never_a_pass_and_never_an_accusation() {
        for expectation in [Expectation::Allow, Expectation::Deny] {
            for outcome in all_outcomes() {
                let unknown = matches!(outcome, Outcome::Unknown { .. });
                let judgement = judge(decision(expectation), outcome);
                if unknown {
                    assert_eq!(judgement.verdict, Verdict::Inconclusive);
                }
                assert_eq!(
                    judgement.verdict == Verdict::Inconclusive,
                    judgement.inconclusive.is_some()
                );
            }
        }
    }

    #[test]
    fn what_the_api_leaves_open_is_never_judged() {
        for outcome in all_outcomes() {
            let open = decision(Expectation::Unspecified(Unspecified::Loopback));
            assert_eq!(judge(open, outcome).verdict, Verdict::Unspecified);
        }
    }

    #[test]
    fn a_denied_packet_that_arrives_is_a_leak_even_without_an_answer() {
        for reply in [Reply::Returned, Reply::NoneSeen, Reply::Lost { place: None }] {
            assert_eq!(
                judge(decision(Expectation::Deny), delivered(reply)).verdict,
                Verdict::Leak
            );
        }
        let late = Outcome::Delivered {
            reply: Reply::NoneSeen,
            only_retransmission: true,
        };
        assert_eq!(judge(decision(Expectation::Deny), late).verdict, Verdict::Leak);
    }

    #[test]
    fn an_allowed_connection_without_its_answer_is_an_overblock() {
        let lost = judge(
            decision(Expectation::Allow),
            delivered(Reply::Lost { place: None }),
        );
        assert_eq!(lost.verdict, Verdict::Overblock);
        assert_eq!(
            judge(decision(Expectation::Allow), delivered(Reply::NoneSeen)).verdict,
            Verdict::Permitted
        );
    }

    /// Whether a CNI drops or rejects is its own choice.
    #[test]
    fn r33_a_rejection_and_a_drop_are_one_denial() {
        let rejected = all_outcomes()
            .into_iter()
            .filter(|outcome| matches!(outcome, Outcome::Rejected { .. }))
            .map(|outcome| judge(decision(Expectation::Deny), outcome).verdict);
        let dropped = judge(decision(Expectation::Deny), dropped(DropClass::Policy)).verdict;
        assert!(rejected.clone().count() > 0 && rejected.into_iter().all(|verdict| verdict == dropped));
    }

    #[test]
    fn only_an_enforcers_drop_enforces() {
        for class in [
            DropClass::Neighbour,
            DropClass::Routing,
            DropClass::Device,
            DropClass::Endpoint,
        ] {
            let judgement = judge(decision(Expectation::Deny), dropped(class));
            assert!(
                matches!(judgement.inconclusive, Some(Inconclusive::NotByPolicy(_))),
                "{class:?}"
            );
        }
        assert_eq!(
            judge(decision(Expectation::Deny), dropped(DropClass::Policy)).verdict,
            Verdict::Enforced
        );
    }
}
