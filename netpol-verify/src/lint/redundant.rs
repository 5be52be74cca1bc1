//! Rules that add nothing to others, and policies that say the same twice.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    code::{DUPLICATE_POLICY, OPEN_TO_ALL, RULE_ADDS_NOTHING},
    cover,
    finding::Finding,
    world::World,
    written::{Rule, Way, Written},
};
use crate::policy::Direction;

pub(super) fn find(world: &World<'_>, out: &mut Vec<Finding>) {
    let mut by_namespace: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, policy) in world.policies.iter().enumerate() {
        by_namespace
            .entry(&policy.name.namespace)
            .or_default()
            .push(number);
    }
    for numbers in by_namespace.values() {
        let policies: Vec<&Written<'_>> = numbers
            .iter()
            .filter_map(|number| world.policies.get(*number))
            .collect();
        let twins = duplicates(world, numbers, out);
        for (at, policy) in policies.iter().enumerate() {
            if twins.contains(&at) {
                continue;
            }
            for way in policy.ways().into_iter().filter(|way| way.isolates) {
                if let Some(open) = open_beside_others(way) {
                    out.push(
                        open_to_all(open, way.direction)
                            .about(policy.object(), Some(policy.place))
                            .at(&open.path),
                    );
                    continue;
                }
                rules(&policies, &twins, at, way, out);
            }
        }
    }
}

/// The places of policies that say what an earlier one of their namespace does.
fn duplicates(world: &World<'_>, numbers: &[usize], out: &mut Vec<Finding>) -> BTreeSet<usize> {
    let mut twins = BTreeSet::new();
    let mut seen: BTreeMap<String, &Written<'_>> = BTreeMap::new();
    for (at, number) in numbers.iter().enumerate() {
        let (Some(sourced), Some(policy)) =
            (world.snapshot.policies.get(*number), world.policies.get(*number))
        else {
            continue;
        };
        let Ok(spec) = serde_json::to_string(&sourced.object.spec) else {
            continue;
        };
        match seen.get(&spec) {
            None => {
                seen.insert(spec, policy);
            }
            Some(first) => {
                twins.insert(at);
                let message = format!("says word for word what {} does.", first.name);
                let finding = Finding::new(DUPLICATE_POLICY, message, "Delete one of the two.");
                out.push(finding.about(policy.object(), Some(policy.place)));
            }
        }
    }
    twins
}

/// The rule of a direction that lets everybody through on every port, where others stand beside it.
fn open_beside_others(way: &Way) -> Option<&Rule> {
    let open = way.rules.iter().find(|rule| rule.is_open_to_all())?;
    let narrower = way.rules.iter().any(|rule| !rule.is_open_to_all());
    narrower.then_some(open)
}

fn open_to_all(open: &Rule, direction: Direction) -> Finding {
    let message = format!(
        "{} lets everybody through on every port: the other {direction} rules of this policy restrict nothing.",
        open.path
    );
    let fix = "Take this rule out if the others are meant, else take the others out.";
    Finding::new(OPEN_TO_ALL, message, fix)
}

fn rules(policies: &[&Written<'_>], twins: &BTreeSet<usize>, at: usize, way: &Way, out: &mut Vec<Finding>) {
    let Some(policy) = policies.get(at) else { return };
    let Some(subject) = &policy.subject else { return };
    for (index, rule) in way.rules.iter().enumerate() {
        let covering = policies.iter().enumerate().find_map(|(other_at, other)| {
            let covers_subject = other
                .subject
                .as_ref()
                .is_some_and(|outer| cover::selector(outer, subject));
            let other_way = other.way(way.direction);
            if twins.contains(&other_at) || !other_way.isolates || !covers_subject {
                return None;
            }
            let mut others = other_way.rules.iter().enumerate();
            let (_, outer) = others.find(|(other_index, outer)| {
                let same = (other_at, *other_index) == (at, index);
                // Of two that say the same, the later adds nothing.
                let is_mutual = || {
                    let wider = other.subject.as_ref();
                    cover::rule(rule, outer) && wider.is_some_and(|other| cover::selector(subject, other))
                };
                !same && cover::rule(outer, rule) && ((other_at, *other_index) < (at, index) || !is_mutual())
            })?;
            Some((*other, outer))
        });
        if let Some((other, outer)) = covering {
            let whose = if other.name == policy.name {
                String::new()
            } else {
                format!(" of {}", other.name)
            };
            let message = format!(
                "adds nothing: {}{whose} lets through all that it does.",
                outer.path
            );
            let fix = "Take it out, or narrow the other one if this is what is meant.";
            let finding = Finding::new(RULE_ADDS_NOTHING, message, fix);
            out.push(finding.about(policy.object(), Some(policy.place)).at(&rule.path));
        }
    }
}
