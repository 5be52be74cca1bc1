//! Why an attempt is denied: which side, by whom, the rule that came nearest, and what would open it.

use super::{
    PolicySet,
    decision::{AdminRuleRef, Decision, Direction, End, Expectation, PolicyRef, Side, Traffic},
    nearest::{NearMiss, nearest},
    suggest::{Suggestion, suggest},
};
use crate::cluster::{Action, ObjectName, Snapshot};

/// A decision, and what it would take to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer of [`PolicySet::decide`].
    pub decision: Decision,
    /// The closed sides; none unless the attempt is denied.
    pub closed: Vec<ClosedSide>,
    /// The smallest rule that would open it; only for a denied attempt.
    pub suggestion: Option<Suggestion>,
}

/// A side that lets the attempt not through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedSide {
    /// Which side.
    pub direction: Direction,
    /// The pod that is isolated.
    pub pod: ObjectName,
    /// The NetworkPolicies that isolate it; none where an administrator's rule decided before they were asked.
    pub policies: Vec<PolicyRef>,
    /// The administrator's rule that denies it, where one does.
    pub denied_by: Option<AdminRuleRef>,
    /// The rule of those policies that came nearest to letting it through.
    pub nearest: Option<NearMiss>,
}

/// Explains the decision on an attempt; `set` must be compiled from `snapshot`.
#[must_use]
pub fn explain(snapshot: &Snapshot, set: &PolicySet, traffic: &Traffic) -> Explanation {
    let decision = set.decide(traffic);
    let closed: Vec<ClosedSide> = if decision.expectation == Expectation::Deny {
        let sides = [
            (Direction::Egress, &decision.egress, &traffic.from),
            (Direction::Ingress, &decision.ingress, &traffic.to),
        ];
        sides
            .into_iter()
            .filter(|(_, side, _)| !side.is_open())
            .filter_map(|(direction, side, end)| closed(snapshot, traffic, direction, side, end))
            .collect()
    } else {
        Vec::new()
    };
    let suggestion = suggest(snapshot, set, traffic, &closed);
    Explanation {
        decision,
        closed,
        suggestion,
    }
}

fn closed(
    snapshot: &Snapshot,
    traffic: &Traffic,
    direction: Direction,
    side: &Side,
    end: &End,
) -> Option<ClosedSide> {
    let End::Pod { name, .. } = end else {
        return None;
    };
    let denied_by = side
        .admin
        .iter()
        .find(|rule| rule.action == Action::Deny)
        .filter(|_| side.is_closed())
        .cloned();
    Some(ClosedSide {
        direction,
        pod: name.clone(),
        policies: side.isolating.clone(),
        nearest: match denied_by {
            Some(_) => None,
            None => nearest(snapshot, side, direction, traffic),
        },
        denied_by,
    })
}
