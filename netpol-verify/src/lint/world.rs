//! What the rules of lint look at: the cluster, its policies as they are written, and the engine that knows what they mean.

use std::{
    cell::{Cell, OnceCell},
    collections::BTreeMap,
};

use super::{
    groups::{GroupId, Groups},
    spelled::Labels,
    written::Written,
};
use crate::{
    cluster::Snapshot,
    policy::{Direction, PolicySet, Suggestion, Traffic, explain},
};

/// How many findings get manifests at most, and at least. Each is tried out on the whole cluster, a tenth of a second in one
/// of 10,000 pods.
const SUGGESTIONS: (usize, usize) = (20, 4);
/// How many pods the tries of one run may take together.
const TRIED_PODS: usize = 40_000;

/// A cluster under lint.
pub(super) struct World<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) set: &'a PolicySet,
    /// Whether all of the cluster was read, so that what is not in it does not exist.
    pub(super) is_whole: bool,
    pub(super) groups: Groups<'a>,
    pub(super) policies: Vec<Written<'a>>,
    labels: OnceCell<BTreeMap<&'a str, Labels<'a>>>,
    /// How many suggestions were asked for.
    suggestions: Cell<usize>,
}

impl<'a> World<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, set: &'a PolicySet, is_whole: bool) -> Self {
        let groups = Groups::new(snapshot, set);
        let policies = snapshot.policies.iter();
        Self {
            policies: policies.map(|sourced| Written::new(sourced, &groups)).collect(),
            snapshot,
            set,
            is_whole,
            groups,
            labels: OnceCell::new(),
            suggestions: Cell::new(0),
        }
    }

    /// The labels of a namespace's pods; none where it has no pod.
    pub(super) fn labels_in(&self, namespace: &str) -> Option<&Labels<'a>> {
        let by_namespace = self.labels.get_or_init(|| {
            let mut objects: BTreeMap<&str, Vec<_>> = BTreeMap::new();
            for pod in self.snapshot.pods.iter().filter(|pod| !pod.phase.is_terminal()) {
                objects.entry(&pod.name.namespace).or_default().push(&pod.labels);
            }
            let labels = objects.into_iter().map(|(name, all)| (name, Labels::of(all)));
            labels.collect()
        });
        by_namespace.get(namespace)
    }

    /// The policies that isolate a group in a direction, with their numbers.
    pub(super) fn isolating<'b>(
        &'b self,
        group: GroupId,
        direction: Direction,
    ) -> impl Iterator<Item = (usize, &'b Written<'a>)> {
        self.policies.iter().enumerate().filter(move |(_, policy)| {
            policy.way(direction).isolates && policy.subjects.binary_search(&group).is_ok()
        })
    }

    /// The smallest rule that opens an attempt, where it was tried out and does.
    pub(super) fn suggestion(&self, attempt: &Traffic) -> Option<Suggestion> {
        let (most, least) = SUGGESTIONS;
        let affordable = TRIED_PODS / self.snapshot.pods.len().max(1);
        if self.suggestions.get() >= affordable.clamp(least, most) {
            return None;
        }
        self.suggestions.set(self.suggestions.get() + 1);
        let suggestion = explain(self.snapshot, self.set, attempt).suggestion;
        suggestion.filter(|suggestion| suggestion.verified)
    }
}
