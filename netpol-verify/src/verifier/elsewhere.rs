//! Attempts whose far end nobody watches: a node, or an address outside. What comes back is all there is to see.

use crate::{flow::Outcome, flow::UnknownCause, judge::Verdict, observe::DropClass, policy::Expectation};

/// What can be told of an attempt whose far end nobody watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) verdict: Verdict,
    /// Why nothing follows, where nothing does.
    pub(super) why: Option<&'static str>,
    /// Whether an answer proves that it arrived.
    pub(super) is_answered: bool,
}

/// Judges by what came back and by what was dropped; `None` while that may still change.
pub(super) fn judge_elsewhere(
    expectation: Expectation,
    outcome: &Outcome,
    is_accepted: bool,
) -> Option<Told> {
    use Expectation::{Allow, Deny, Unspecified};
    let told = |verdict| {
        Some(Told {
            verdict,
            why: None,
            is_answered: is_accepted,
        })
    };
    let nothing = |why| {
        Some(Told {
            verdict: Verdict::Inconclusive,
            why: Some(why),
            is_answered: false,
        })
    };
    // An answer is proof, whatever else was seen.
    if is_accepted {
        return match expectation {
            Allow => told(Verdict::Permitted),
            Deny => told(Verdict::Leak),
            Unspecified(_) => told(Verdict::Unspecified),
        };
    }
    match (expectation, outcome) {
        (
            Allow | Deny | Unspecified(_),
            Outcome::Unknown {
                why: UnknownCause::Pending,
            },
        ) => None,
        (Unspecified(_), _) => told(Verdict::Unspecified),
        (Allow | Deny, Outcome::Dropped { place }) if place.class != DropClass::Policy => {
            nothing("no enforcer dropped it, and that proves nothing of the policy")
        }
        (Allow, Outcome::Dropped { .. }) => told(Verdict::Overblock),
        (Deny, Outcome::Dropped { .. }) => told(Verdict::Enforced),
        // An enforcer's drop was seen, and its refusal came back.
        (Allow, Outcome::Rejected { .. }) => told(Verdict::Overblock),
        (Deny, Outcome::Rejected { .. }) => told(Verdict::Enforced),
        (Allow | Deny, Outcome::Unknown { .. } | Outcome::Unanswered | Outcome::Delivered { .. }) => {
            nothing("no answer that accepts came from there, and what arrives there is not seen")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::judge_elsewhere;
    use crate::{
        flow::{DropPlace, Outcome, UnknownCause},
        judge::Verdict,
        net::{Ifindex, Netns},
        observe::DropClass,
        policy::{Expectation, Unspecified},
    };

    fn dropped(class: DropClass) -> Outcome {
        Outcome::Dropped {
            place: DropPlace {
                netns: Netns::default(),
                ifindex: Ifindex(1),
                reason: "R".to_owned(),
                location: None,
                class,
            },
        }
    }

    #[test]
    fn silence_from_outside_is_never_an_answer_and_an_answer_always_is() {
        let silent = Outcome::Unknown {
            why: UnknownCause::DestinationNotWatched,
        };
        let open = Expectation::Unspecified(Unspecified::HostNetwork);
        let (allow, deny) = (Expectation::Allow, Expectation::Deny);
        let policy = dropped(DropClass::Policy);
        let routing = dropped(DropClass::Routing);
        for (expectation, outcome, accepted, expected) in [
            (allow, &silent, true, Verdict::Permitted),
            (deny, &silent, true, Verdict::Leak),
            (open, &silent, true, Verdict::Unspecified),
            (allow, &silent, false, Verdict::Inconclusive),
            (deny, &silent, false, Verdict::Inconclusive),
            (open, &silent, false, Verdict::Unspecified),
            (allow, &policy, false, Verdict::Overblock),
            (deny, &policy, false, Verdict::Enforced),
            (allow, &routing, false, Verdict::Inconclusive),
            (deny, &routing, false, Verdict::Inconclusive),
        ] {
            let told = judge_elsewhere(expectation, outcome, accepted).unwrap();
            assert_eq!(told.verdict, expected, "{expectation:?} {outcome:?} {accepted}");
            assert_eq!(told.why.is_some(), expected == Verdict::Inconclusive);
        }
        let pending = Outcome::Unknown {
            why: UnknownCause::Pending,
        };
        assert_eq!(judge_elsewhere(deny, &pending, false), None);
    }
}
