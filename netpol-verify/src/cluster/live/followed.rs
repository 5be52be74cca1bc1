//! A cluster that is followed: what is told becomes a state, with what can be trusted of it and since when.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Standing, Told,
    resource::{Need, RESOURCES, Resource},
};
use crate::{
    cluster::{Change, ClusterState, Kind, Loaded, Object, ObjectKey, Problem},
    net::KernelTime,
};

/// A cluster as far as it was told of. Times are the caller's.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    state: ClusterState,
    standings: BTreeMap<Kind, Standing>,
    problems: BTreeMap<ObjectKey, Vec<Problem>>,
    /// The namespaces that were told of; the state has others where something lives in one that was not.
    namespaces: BTreeSet<String>,
}

impl Followed {
    /// Takes what was told; what changed by it. What is equal to before is no change.
    ///
    /// A pod that was made anew under the same name is removed and added. A namespace does not take what lives in it along:
    /// each kind is told by itself, and of a namespace that was made anew the new pods may be told first.
    pub fn take(&mut self, told: Told, now: KernelTime) -> Vec<Change> {
        let standing = self.standings.entry(told.kind()).or_default();
        match told {
            Told::Put {
                key,
                object,
                problems,
            } => {
                standing.hear(now);
                if problems.is_empty() {
                    self.problems.remove(&key);
                } else {
                    self.problems.insert(key.clone(), problems);
                }
                self.put(key, object.map(|object| *object))
            }
            Told::Gone(key) => {
                standing.hear(now);
                self.remove(key)
            }
            Told::Alive(_) => {
                standing.hear(now);
                Vec::new()
            }
            Told::Listed { kind, keys } => {
                *standing = Standing::Known { heard: now };
                self.keep_only(kind, &keys)
            }
            Told::Absent { kind, lacks } => {
                *standing = Standing::Absent { heard: now, lacks };
                self.keep_only(kind, &BTreeSet::new())
            }
            Told::Broken { why, .. } => {
                standing.break_at(now, why);
                Vec::new()
            }
        }
    }

    /// The cluster as it was told.
    #[must_use]
    pub const fn state(&self) -> &ClusterState {
        &self.state
    }

    /// Whether every kind was listed, or is one that an answer can do without and the server refuses. Until then nothing can be
    /// judged; afterwards [`Followed::standings`] says what is not up to date.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        RESOURCES
            .iter()
            .all(|resource| self.standing(resource.object).is_settled(resource))
    }

    /// How each kind stands.
    pub fn standings(&self) -> impl Iterator<Item = (Kind, &Standing)> {
        RESOURCES
            .iter()
            .map(|resource| (resource.object, self.standing(resource.object)))
    }

    /// How a kind stands.
    #[must_use]
    pub fn standing(&self, kind: Kind) -> &Standing {
        self.standings.get(&kind).unwrap_or(&Standing::Awaited)
    }

    /// Whether there is no answer without a kind.
    #[must_use]
    pub fn is_required(kind: Kind) -> bool {
        Resource::of(kind).is_some_and(|resource| resource.need == Need::Required)
    }

    /// The kind of which nothing was heard for longest, and when it was heard of; of those that were heard of at all. A verdict
    /// about a moment behind it stands on what may have changed.
    #[must_use]
    pub fn stalest(&self) -> Option<(Kind, KernelTime)> {
        // What is absent is asked for only now and then.
        let watched = self
            .standings()
            .filter(|(_, standing)| !matches!(standing, Standing::Absent { .. }));
        watched
            .filter_map(|(kind, standing)| Some((kind, standing.heard()?)))
            .min_by_key(|(_, heard)| *heard)
    }

    /// Namespaces that nobody told of, or whose end was told, and something lives in them: their labels are not known. Each
    /// lasts for a moment where the server's stories overtake one another.
    pub fn implied_namespaces(&self) -> impl Iterator<Item = String> {
        let all = self.state.keys(Kind::Namespace).into_iter();
        all.map(|key| key.name)
            .filter(|name| !self.namespaces.contains(name))
    }

    /// What an answer lacks for the kinds, and then what could not be taken of objects that exist.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut kinds = Loaded::default();
        for resource in &RESOURCES {
            if let Some(message) = self.standing(resource.object).lacks(resource) {
                kinds.lacks(resource.kind, message);
            }
        }
        let mut problems = kinds.problems;
        problems.extend(self.problems.values().flatten().cloned());
        problems
    }

    fn put(&mut self, key: ObjectKey, object: Option<Object>) -> Vec<Change> {
        if key.kind == Kind::Namespace {
            self.namespaces.insert(key.name.clone());
        }
        let mut changes = Vec::new();
        let stays = match &object {
            Some(Object::Pod(pod)) => !self
                .state
                .pod(&pod.name)
                .is_some_and(|before| before.is_another(pod)),
            Some(_) => true,
            None => false,
        };
        if !stays {
            changes.extend(self.take_out(key));
        }
        changes.extend(self.state.replace(object));
        changes
    }

    /// An object that does not exist: its problems go too.
    fn remove(&mut self, key: ObjectKey) -> Vec<Change> {
        self.problems.remove(&key);
        if key.kind == Kind::Namespace {
            self.namespaces.remove(&key.name);
        }
        let namespace = key.namespace.clone();
        let mut changes = self.take_out(key);
        // The last that lived in a namespace that is gone takes it along.
        if let Some(name) = namespace.filter(|name| !self.namespaces.contains(name)) {
            changes.extend(self.take_out(ObjectKey {
                kind: Kind::Namespace,
                namespace: None,
                name,
            }));
        }
        changes
    }

    fn take_out(&mut self, key: ObjectKey) -> Vec<Change> {
        if key.kind == Kind::Namespace && self.state.is_inhabited(&key.name) {
            return Vec::new();
        }
        self.state.delete([key])
    }

    /// What exists of a kind is this.
    fn keep_only(&mut self, kind: Kind, keys: &BTreeSet<ObjectKey>) -> Vec<Change> {
        let mut gone: BTreeSet<ObjectKey> = self.state.keys(kind).into_iter().collect();
        gone.extend(self.problems.keys().filter(|key| key.kind == kind).cloned());
        gone.retain(|key| !keys.contains(key));
        gone.into_iter().flat_map(|key| self.remove(key)).collect()
    }
}
