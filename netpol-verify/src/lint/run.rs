//! All rules over one cluster.

use super::{
    admin, block, direction, dns, finding::Finding, half_path, host_network, intent, named_port, redundant,
    selects, taken, uncovered, world::World,
};
use crate::{
    cluster::{Locator, Place, Problem, Snapshot},
    policy::{Intent, PolicySet},
};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The cluster.
    pub snapshot: &'a Snapshot,
    /// Its policies, compiled from it.
    pub set: &'a PolicySet,
    /// What in reading and compiling could not be taken as it stands.
    pub problems: &'a [Problem],
    /// What finds the lines of fields.
    pub locator: &'a Locator,
    /// Whether all of a cluster was read, so that what is not in the snapshot does not exist.
    pub is_whole: bool,
    /// What the owner wants, and where that was read.
    pub intent: Option<(&'a Intent, &'a Place)>,
}

/// Everything that is wrong or worth knowing, in the order of places.
#[must_use]
pub fn lint(subject: Subject<'_>) -> Vec<Finding> {
    let world = World::new(subject.snapshot, subject.set, subject.is_whole);
    let mut found = Vec::new();
    for rule in [direction::find, block::find, redundant::find, admin::find] {
        rule(&world, &mut found);
    }
    // These speak about pods; of policies alone nothing of the kind can be known.
    if world.groups.iter().next().is_some() {
        for rule in [
            half_path::find,
            dns::find,
            selects::find,
            named_port::find,
            host_network::find,
            uncovered::find,
        ] {
            rule(&world, &mut found);
        }
    }
    subject.locator.settle(found.iter_mut().filter_map(|finding| {
        let path = finding.path.as_deref()?;
        Some((finding.place.as_mut()?, path))
    }));
    // These know their lines already.
    taken::find(subject.problems, &mut found);
    if let Some((wanted, file)) = subject.intent {
        intent::find(&world, wanted, file, &mut found);
    }
    found.sort_by(|one, other| key(one).cmp(&key(other)));
    found
}

fn key(finding: &Finding) -> (bool, Option<&Place>, Option<&str>, &str) {
    (
        finding.place.is_none(),
        finding.place.as_ref(),
        finding.object.as_deref(),
        &finding.code,
    )
}
