//! A snapshot to a policy set. Kubernetes' types are known here and in the `compile_` files beside it only.

use crate::cluster::{Node, Place, Problem, Snapshot, SourcedAdminPolicy, SourcedPolicy, path::FieldPath};

use super::{
    compile_admin, compile_rule,
    decision::AdminRef,
    set::{CompiledAdmin, PolicySet},
};

/// Compiles every policy of the snapshot; it never fails.
///
/// What the API would refuse becomes a problem and lets nothing through, while its policy isolates all the same.
#[must_use]
pub fn compile(snapshot: &Snapshot) -> (PolicySet, Vec<Problem>) {
    let mut set = PolicySet {
        generation: snapshot.generation,
        ..PolicySet::default()
    };
    let mut problems = Vec::new();
    // The policies first: they say what of pods, namespaces and addresses makes a difference.
    for sourced in &snapshot.policies {
        set.put_policy(sourced, &mut problems);
    }
    for sourced in &snapshot.admin {
        set.put_admin(sourced, &mut problems);
    }
    set.take_growth();
    for namespace in &snapshot.namespaces {
        set.put_namespace(&namespace.name, &namespace.labels);
    }
    for node in &snapshot.nodes {
        set.put_node(node);
    }
    for pod in &snapshot.pods {
        set.put_pod(pod);
    }
    set.place_everything();
    (set, problems)
}

/// Gathers the problems of one policy.
pub(crate) struct Report<'a> {
    object: String,
    place: &'a Place,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Report<'a> {
    pub(crate) const fn new(object: String, place: &'a Place, problems: &'a mut Vec<Problem>) -> Self {
        Self {
            object,
            place,
            problems,
        }
    }

    pub(crate) fn problem(&mut self, path: &FieldPath, message: String) {
        self.problems.push(Problem {
            place: self.place.clone(),
            object: Some(self.object.clone()),
            path: Some(path.to_string()),
            message,
        });
    }
}

impl PolicySet {
    /// Takes a NetworkPolicy, new or instead of the one of its name. Its terms and subjects are not worked out yet.
    pub(crate) fn put_policy(&mut self, sourced: &SourcedPolicy, problems: &mut Vec<Problem>) {
        let name = sourced.name();
        let namespace = self.namespace(&name.namespace);
        let mut report = Report::new(format!("NetworkPolicy {name}"), &sourced.place, problems);
        let compiled = compile_rule::policy(sourced, namespace, &mut self.vocabulary, &mut report);
        let next = self.policies.len() as u32;
        let number = *self.policy_index.entry(name).or_insert(next);
        match self.policies.get_mut(number as usize) {
            Some(slot) => *slot = compiled,
            None => self.policies.push(compiled),
        }
        if let Some(namespace) = self.namespaces.get_mut(namespace as usize)
            && let Err(at) = namespace.policies.binary_search(&number)
        {
            namespace.policies.insert(at, number);
        }
    }

    /// Takes an administrator's policy, likewise.
    pub(crate) fn put_admin(&mut self, sourced: &SourcedAdminPolicy, problems: &mut Vec<Problem>) {
        let name = AdminRef {
            kind: sourced.object.kind,
            name: sourced.object.name.clone(),
        };
        let mut report = Report::new(name.to_string(), &sourced.place, problems);
        let compiled = compile_admin::policy(&sourced.object, &mut self.vocabulary, &mut report);
        let next = self.admin.len() as u32;
        let number = *self.admin_index.entry(name).or_insert(next);
        let names_nodes = compiled.names_nodes();
        match self.admin.get_mut(number as usize) {
            Some(slot) => {
                *slot = compiled;
                self.selects_nodes = self.admin.iter().any(CompiledAdmin::names_nodes);
            }
            None => {
                self.admin.push(compiled);
                self.selects_nodes |= names_nodes;
            }
        }
    }

    /// Gives a namespace its labels.
    pub(crate) fn put_namespace(&mut self, name: &str, labels: &std::collections::BTreeMap<String, String>) {
        let number = self.namespace(name);
        let signature = self.vocabulary.namespace_labels.signature(labels);
        self.vocabulary.namespace_labels.put(number, &signature);
    }

    /// Gives a node its labels and addresses.
    pub(crate) fn put_node(&mut self, node: &Node) {
        let number = self.node(&node.name);
        let signature = self.vocabulary.node_labels.signature(&node.labels);
        self.vocabulary.node_labels.put(number, &signature);
        let entry = self.nodes.get_mut(number as usize);
        let was_described = entry.is_some_and(|entry| std::mem::replace(&mut entry.is_described, true));
        // Only a node that was described before has addresses here.
        if was_described {
            for nodes in self.node_addresses.values_mut() {
                nodes.retain(|other| *other != number);
            }
        }
        for address in &node.addresses {
            let nodes = self.node_addresses.entry(address.to_canonical()).or_default();
            nodes.push(number);
        }
    }

    /// Whether policies say something new since this was last asked, so that one class may have to become two.
    pub(crate) fn take_growth(&mut self) -> bool {
        let words = &mut self.vocabulary;
        // Every part is asked: each forgets that it has grown.
        [
            words.pod_labels.take_growth(),
            words.namespace_labels.take_growth(),
            words.node_labels.take_growth(),
            words.names.take_growth(),
            words.blocks.take_growth(),
        ]
        .contains(&true)
    }
}
