//! Directions: rules that nothing asks because `policyTypes` does not list them, and lists that look like a deny (R3, R5).

use super::{
    code::{EMPTY_LIST_CLOSES_NOTHING, RULES_UNLISTED},
    finding::{Finding, counted},
    world::World,
    written::{Way, Written},
};
use crate::{cluster::path::FieldPath, policy::Direction};

pub(super) fn find(world: &World<'_>, out: &mut Vec<Finding>) {
    for policy in &world.policies {
        for way in policy
            .ways()
            .into_iter()
            .filter(|way| way.is_there && !way.isolates)
        {
            let found = one(policy, way).about(policy.object(), Some(policy.place));
            out.push(found.at(&FieldPath::of("spec").key(&way.direction.to_string())));
        }
    }
}

fn one(policy: &Written<'_>, way: &Way) -> Finding {
    let (direction, kind) = match way.direction {
        Direction::Ingress => ("ingress", "Ingress"),
        Direction::Egress => ("egress", "Egress"),
    };
    if !way.rules.is_empty() {
        let message = format!(
            "has {} for {direction}, and policyTypes does not list {kind}: nobody asks them, and {direction} is not \
             restricted by this policy.",
            counted(way.rules.len(), "rule")
        );
        return Finding::new(
            RULES_UNLISTED,
            message,
            format!("Add {kind} to policyTypes, or take the rules out."),
        );
    }
    let why = if policy.has_types {
        format!("policyTypes does not list {kind}")
    } else {
        "without policyTypes egress counts only where it has rules".to_owned()
    };
    let message = format!("has an empty list for {direction}, which looks like a deny and is none: {why}.");
    Finding::new(
        EMPTY_LIST_CLOSES_NOTHING,
        message,
        format!("Add {kind} to policyTypes to close {direction}, or take the empty list out."),
    )
}
