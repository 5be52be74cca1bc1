//! A cluster that changes: objects are applied and deleted, and every change gives a snapshot with a higher generation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    AdminKind, EndpointSlice, Namespace, Node, Object, ObjectKey, ObjectName, Pod, Service, Snapshot,
    SourcedAdminPolicy, SourcedPolicy, convert, object::Kind,
};

/// Everything a virtual cluster holds; it can be written to a file and read back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ClusterState {
    generation: u64,
    namespaces: BTreeMap<String, Namespace>,
    pods: BTreeMap<ObjectName, Pod>,
    nodes: BTreeMap<String, Node>,
    policies: BTreeMap<ObjectName, SourcedPolicy>,
    #[serde(default)]
    admin: BTreeMap<AdminKind, BTreeMap<String, SourcedAdminPolicy>>,
    #[serde(default)]
    services: BTreeMap<ObjectName, Service>,
    #[serde(default)]
    slices: BTreeMap<ObjectName, EndpointSlice>,
}

/// What a call did to one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new; also a namespace that came into being because something lives in it.
    Added(ObjectKey),
    /// It differs from before.
    Changed(ObjectKey),
    /// It is gone; also what lived in a namespace that went.
    Removed(ObjectKey),
}

impl Change {
    /// The object that changed.
    #[must_use]
    pub const fn key(&self) -> &ObjectKey {
        let (Self::Added(key) | Self::Changed(key) | Self::Removed(key)) = self;
        key
    }
}

impl ClusterState {
    /// Adds or replaces objects. What is equal to before is no change, and no change leaves the generation alone.
    ///
    /// As on an API server, applying a pod without status, node or uid keeps the addresses, the node and the uid it has;
    /// of a pod with another uid nothing is kept.
    pub fn apply(&mut self, objects: impl IntoIterator<Item = Object>) -> Vec<Change> {
        self.put_all(objects, Self::with_kept_status)
    }

    /// As [`ClusterState::apply`], for objects as a server tells them, whole: a pod that lost its address has none.
    pub(super) fn replace(&mut self, objects: impl IntoIterator<Item = Object>) -> Vec<Change> {
        self.put_all(objects, |_, pod| pod)
    }

    fn put_all(
        &mut self,
        objects: impl IntoIterator<Item = Object>,
        settled: impl Fn(&Self, Pod) -> Pod,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for object in objects {
            let key = object.key();
            if let Some(namespace) = &key.namespace
                && !self.namespaces.contains_key(namespace)
            {
                let implicit = convert::namespace(namespace, BTreeMap::new());
                changes.push(Change::Added(Object::Namespace(implicit.clone()).key()));
                self.namespaces.insert(namespace.clone(), implicit);
            }
            let before = match object {
                Object::Namespace(it) => {
                    let it = convert::namespace(&it.name, it.labels);
                    put(&mut self.namespaces, it.name.clone(), it, PartialEq::eq)
                }
                Object::Node(it) => put(&mut self.nodes, it.name.clone(), it, PartialEq::eq),
                Object::Pod(it) => {
                    let it = settled(self, it);
                    put(&mut self.pods, it.name.clone(), it, PartialEq::eq)
                }
                Object::Policy(it) => put(&mut self.policies, it.name(), it, |a, b| a.object == b.object),
                Object::Admin(it) => {
                    let of_kind = self.admin.entry(it.object.kind).or_default();
                    put(of_kind, it.object.name.clone(), it, |a, b| a.object == b.object)
                }
                Object::Service(it) => put(&mut self.services, it.name.clone(), it, PartialEq::eq),
                Object::EndpointSlice(it) => put(&mut self.slices, it.name.clone(), it, PartialEq::eq),
            };
            match before {
                Before::Absent => changes.push(Change::Added(key)),
                Before::Different => changes.push(Change::Changed(key)),
                Before::Equal => {}
            }
        }
        self.count(&changes);
        changes
    }

    /// Removes objects by name; a namespace takes what lives in it along. Absent objects are no change.
    pub fn delete(&mut self, keys: impl IntoIterator<Item = ObjectKey>) -> Vec<Change> {
        let mut changes = Vec::new();
        for key in keys {
            let name = ObjectName::new(key.namespace.clone().unwrap_or_default(), key.name.clone());
            let existed = match key.kind {
                Kind::Namespace => {
                    self.empty(&key.name, &mut changes);
                    self.namespaces.remove(&key.name).is_some()
                }
                Kind::Node => self.nodes.remove(&key.name).is_some(),
                Kind::Pod => self.pods.remove(&name).is_some(),
                Kind::NetworkPolicy => self.policies.remove(&name).is_some(),
                Kind::AdminPolicy(kind) => self
                    .admin
                    .get_mut(&kind)
                    .is_some_and(|of_kind| of_kind.remove(&key.name).is_some()),
                Kind::Service => self.services.remove(&name).is_some(),
                Kind::EndpointSlice => self.slices.remove(&name).is_some(),
            };
            if existed {
                changes.push(Change::Removed(key));
            }
        }
        self.count(&changes);
        changes
    }

    /// The cluster as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            generation: self.generation,
            namespaces: self.namespaces.values().cloned().collect(),
            pods: self.pods.values().cloned().collect(),
            nodes: self.nodes.values().cloned().collect(),
            policies: self.policies.values().cloned().collect(),
            admin: self.admin.values().flat_map(BTreeMap::values).cloned().collect(),
            services: self.services.values().cloned().collect(),
            slices: self.slices.values().cloned().collect(),
        }
    }

    /// The number of the last change.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The pod of that name.
    #[must_use]
    pub fn pod(&self, name: &ObjectName) -> Option<&Pod> {
        self.pods.get(name)
    }

    /// All pods, in the order of their names.
    pub fn pods(&self) -> impl ExactSizeIterator<Item = &Pod> {
        self.pods.values()
    }

    /// All nodes, likewise.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.nodes.values()
    }

    /// How many policies there are, of every kind.
    #[must_use]
    pub fn policy_count(&self) -> usize {
        self.policies.len() + self.admin.values().map(BTreeMap::len).sum::<usize>()
    }

    /// The namespace of that name.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)
    }

    /// The node of that name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// The NetworkPolicy of that name.
    #[must_use]
    pub fn policy(&self, name: &ObjectName) -> Option<&SourcedPolicy> {
        self.policies.get(name)
    }

    /// The administrators' policy of that kind and name.
    #[must_use]
    pub fn admin_policy(&self, kind: AdminKind, name: &str) -> Option<&SourcedAdminPolicy> {
        self.admin.get(&kind)?.get(name)
    }

    /// The names of all objects of a kind.
    pub(super) fn keys(&self, kind: Kind) -> Vec<ObjectKey> {
        let cluster_wide = |name: &String| ObjectKey {
            kind,
            namespace: None,
            name: name.clone(),
        };
        let in_namespace = |name: &ObjectName| ObjectKey {
            kind,
            namespace: Some(name.namespace.clone()),
            name: name.name.clone(),
        };
        match kind {
            Kind::Namespace => self.namespaces.keys().map(cluster_wide).collect(),
            Kind::Node => self.nodes.keys().map(cluster_wide).collect(),
            Kind::AdminPolicy(kind) => {
                let of_kind = self.admin.get(&kind).into_iter();
                of_kind.flat_map(BTreeMap::keys).map(cluster_wide).collect()
            }
            Kind::Pod => self.pods.keys().map(in_namespace).collect(),
            Kind::NetworkPolicy => self.policies.keys().map(in_namespace).collect(),
            Kind::Service => self.services.keys().map(in_namespace).collect(),
            Kind::EndpointSlice => self.slices.keys().map(in_namespace).collect(),
        }
    }

    /// Whether anything lives in a namespace.
    pub(super) fn is_inhabited(&self, namespace: &str) -> bool {
        lives_in(&self.pods, namespace)
            || lives_in(&self.policies, namespace)
            || lives_in(&self.services, namespace)
            || lives_in(&self.slices, namespace)
    }

    fn with_kept_status(&self, mut pod: Pod) -> Pod {
        let before = self.pods.get(&pod.name);
        if let Some(before) = before.filter(|before| !before.is_another(&pod)) {
            if pod.ips.is_empty() {
                pod.ips.clone_from(&before.ips);
            }
            pod.node = pod.node.or_else(|| before.node.clone());
            pod.uid = pod.uid.or_else(|| before.uid.clone());
        }
        pod
    }

    fn empty(&mut self, namespace: &str, changes: &mut Vec<Change>) {
        take_out(&mut self.pods, namespace, Kind::Pod, changes);
        take_out(&mut self.policies, namespace, Kind::NetworkPolicy, changes);
        take_out(&mut self.services, namespace, Kind::Service, changes);
        take_out(&mut self.slices, namespace, Kind::EndpointSlice, changes);
    }

    fn count(&mut self, changes: &[Change]) {
        if !changes.is_empty() {
            self.generation = self.generation.saturating_add(1);
        }
    }
}

enum Before {
    Absent,
    Different,
    Equal,
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V, same: impl Fn(&V, &V) -> bool) -> Before {
    let before = match map.get(&key) {
        None => Before::Absent,
        Some(old) if same(old, &value) => Before::Equal,
        Some(_) => Before::Different,
    };
    map.insert(key, value);
    before
}

fn lives_in<V>(map: &BTreeMap<ObjectName, V>, namespace: &str) -> bool {
    let mut from = map.range(ObjectName::new(namespace, "")..);
    from.next().is_some_and(|(name, _)| name.namespace == namespace)
}

/// Removes what lives in a namespace, in the order of names.
fn take_out<V>(map: &mut BTreeMap<ObjectName, V>, namespace: &str, kind: Kind, changes: &mut Vec<Change>) {
    map.retain(|name, _| {
        let stays = name.namespace != namespace;
        if !stays {
            changes.push(Change::Removed(ObjectKey {
                kind,
                namespace: Some(name.namespace.clone()),
                name: name.name.clone(),
            }));
        }
        stays
    });
}
