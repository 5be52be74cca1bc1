//! Following a cluster that changes: what a change touches is worked out anew, the rest stays.

use crate::cluster::{Change, ClusterState, Kind, ObjectKey, ObjectName, Problem};

use super::{compile, decision::AdminRef, set::PolicySet};

impl PolicySet {
    /// Takes over changes that were applied to `state`, from which this set was compiled or which it has followed, and gives
    /// the problems of the policies that changed.
    ///
    /// A changed pod, namespace or node is put in its class. A changed policy is compiled alone. Only where policies begin to
    /// name labels, blocks or port names that none named before may classes fall apart: then everything is compiled.
    pub fn follow(&mut self, state: &ClusterState, changes: &[Change]) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut is_sound = true;
        for change in changes {
            is_sound = self.follow_one(state, change.key(), &mut problems);
            if !is_sound {
                break;
            }
        }
        // What policies that are gone have left behind is not worth keeping for ever.
        let is_crowded =
            self.stale > self.policies.len() + 64 || self.classes.len() > 4 * self.pods.len() + 1024;
        if is_sound && !is_crowded {
            self.generation = state.generation();
            return problems;
        }
        let changed: Vec<String> = changes.iter().map(|change| change.key().to_string()).collect();
        let (set, all) = compile(&state.snapshot());
        *self = set;
        all.into_iter()
            .filter(|problem| {
                problem
                    .object
                    .as_ref()
                    .is_some_and(|object| changed.contains(object))
            })
            .collect()
    }

    /// Whether the change could be followed alone.
    fn follow_one(&mut self, state: &ClusterState, key: &ObjectKey, problems: &mut Vec<Problem>) -> bool {
        let name = || ObjectName::new(key.namespace.clone().unwrap_or_default(), key.name.clone());
        match key.kind {
            Kind::Pod => {
                match state.pod(&name()) {
                    Some(pod) => self.put_pod(pod),
                    None => self.remove_pod(&name()),
                }
                self.place_fresh();
            }
            Kind::Namespace => {
                if let Some(namespace) = state.namespace(&key.name) {
                    self.put_namespace(&namespace.name, &namespace.labels);
                    let number = self.namespace(&namespace.name);
                    let classes: Vec<u32> = self
                        .namespaces
                        .get(number as usize)
                        .map(|entry| entry.classes.iter().collect())
                        .unwrap_or_default();
                    classes.into_iter().for_each(|class| self.place_class(class));
                }
            }
            Kind::Node => match state.node(&key.name) {
                Some(node) => self.put_node(node),
                None => {
                    let gone = crate::cluster::Node {
                        name: key.name.clone(),
                        addresses: Vec::new(),
                        labels: Default::default(),
                    };
                    self.put_node(&gone);
                    let number = self.node(&key.name);
                    if let Some(entry) = self.nodes.get_mut(number as usize) {
                        entry.is_described = false;
                    }
                }
            },
            Kind::NetworkPolicy => return self.follow_policy(state, &name(), problems),
            Kind::AdminPolicy(kind) => {
                let reference = AdminRef {
                    kind,
                    name: key.name.clone(),
                };
                let before = self.vocabulary.terms.all.len();
                match state.admin_policy(kind, &key.name) {
                    Some(policy) => self.put_admin(policy, problems),
                    None => {
                        if let Some(policy) = self.admin_at(&reference) {
                            policy.subject = None;
                        }
                    }
                }
                self.stale += 1;
                if self.take_growth() {
                    return false;
                }
                self.place_terms_from(before);
                self.place_subjects(0..self.classes.len() as u32);
            }
            // They are asked when a question goes through a Service, and are no part of the set.
            Kind::Service | Kind::EndpointSlice => {}
        }
        true
    }

    fn follow_policy(
        &mut self,
        state: &ClusterState,
        name: &ObjectName,
        problems: &mut Vec<Problem>,
    ) -> bool {
        let before = self.vocabulary.terms.all.len();
        self.stale += 1;
        match state.policy(name) {
            Some(policy) => self.put_policy(policy, problems),
            None => {
                if let Some(number) = self.policy_index.remove(name) {
                    for namespace in &mut self.namespaces {
                        namespace.policies.retain(|other| *other != number);
                    }
                }
            }
        }
        if self.take_growth() {
            return false;
        }
        self.place_terms_from(before);
        let namespace = self.namespace(&name.namespace);
        let classes: Vec<u32> = self
            .namespaces
            .get(namespace as usize)
            .map(|entry| entry.classes.iter().collect())
            .unwrap_or_default();
        self.place_subjects(classes);
        true
    }

    fn place_terms_from(&mut self, first: usize) {
        for term in first..self.vocabulary.terms.all.len() {
            self.place_term(term as u32);
        }
    }

    fn admin_at(&mut self, name: &AdminRef) -> Option<&mut super::set::CompiledAdmin> {
        let number = *self.admin_index.get(name)?;
        self.admin.get_mut(number as usize)
    }

    /// Takes a pod out; the last one takes its number.
    fn remove_pod(&mut self, name: &ObjectName) {
        let Some(number) = self.pod_index.remove(name) else {
            return;
        };
        let gone = self.pods.swap_remove(number as usize);
        self.wanderers -= usize::from(gone.is_wanderer());
        if let Some(moved) = self.pods.get(number as usize) {
            self.pod_index.insert(moved.name.clone(), number);
        }
    }
}
