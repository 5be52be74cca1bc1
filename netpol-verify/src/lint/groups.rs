//! Pods in groups that no policy can tell apart, so that thousands of them are asked about once.

use std::collections::{BTreeMap, HashMap};

use crate::{
    cluster::{Namespace, ObjectName, Pod, Snapshot},
    policy::{PodId, PolicySet, Selector},
};

/// A group, by number.
pub(super) type GroupId = u32;

/// Every live pod, in groups.
#[derive(Debug)]
pub(super) struct Groups<'a> {
    all: Vec<Group<'a>>,
    by_namespace: BTreeMap<&'a str, Vec<GroupId>>,
    namespaces: &'a [Namespace],
}

/// Pods of one namespace and one likeness: they carry the same labels, ports and blocks as far as any policy asks for them, and
/// where policies select nodes, the addresses of the same ones.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// One of them, who stands for all.
    pub(super) pod: &'a Pod,
    /// Its number in the policy set.
    pub(super) id: PodId,
    /// All of them.
    pub(super) pods: Vec<&'a Pod>,
}

impl Group<'_> {
    /// Whether they use the network of their node, where policies are undefined (R24).
    pub(super) const fn is_host(&self) -> bool {
        self.pod.host_network
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &ObjectName> {
        self.pods.iter().map(|pod| &pod.name)
    }
}

impl<'a> Groups<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, set: &PolicySet) -> Self {
        let mut groups = Self {
            all: Vec::new(),
            by_namespace: BTreeMap::new(),
            namespaces: &snapshot.namespaces,
        };
        let mut known = HashMap::new();
        for pod in snapshot.pods.iter().filter(|pod| !pod.phase.is_terminal()) {
            let Some((id, likeness)) = set.pod_id(&pod.name).zip(set.likeness(&pod.name)) else {
                continue;
            };
            let next = groups.all.len() as GroupId;
            let number = *known.entry(likeness).or_insert(next);
            match groups.all.get_mut(number as usize) {
                Some(group) => group.pods.push(pod),
                None => {
                    groups.all.push(Group {
                        pod,
                        id,
                        pods: vec![pod],
                    });
                    let home = groups.by_namespace.entry(&pod.name.namespace).or_default();
                    home.push(next);
                }
            }
        }
        groups
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Group<'a>> {
        self.all.iter()
    }

    /// The groups of these numbers.
    pub(super) fn of<'b>(&'b self, numbers: &'b [GroupId]) -> impl Iterator<Item = &'b Group<'a>> {
        numbers.iter().filter_map(|number| self.all.get(*number as usize))
    }

    /// The groups of a namespace.
    pub(super) fn living_in(&self, namespace: &str) -> &[GroupId] {
        self.by_namespace.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// The namespaces that have live pods.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = (&'a str, &[GroupId])> {
        self.by_namespace
            .iter()
            .map(|(name, groups)| (*name, groups.as_slice()))
    }

    /// The namespaces that a selector selects.
    pub(super) fn selected_namespaces(&self, wanted: &Selector) -> impl Iterator<Item = &'a Namespace> {
        self.namespaces
            .iter()
            .filter(|namespace| wanted.matches(&namespace.labels))
    }

    /// The groups of a namespace that a selector selects.
    pub(super) fn selected_in(&self, namespace: &str, pods: &Selector) -> Vec<GroupId> {
        let home = self.living_in(namespace).iter().copied();
        home.filter(|number| self.of(&[*number]).any(|group| pods.matches(&group.pod.labels)))
            .collect()
    }

    /// The groups that two selectors select together.
    pub(super) fn selected(&self, namespaces: &Selector, pods: &Selector) -> Vec<GroupId> {
        self.selected_namespaces(namespaces)
            .flat_map(|namespace| self.selected_in(&namespace.name, pods))
            .collect()
    }

    /// The pods of several groups, by name.
    pub(super) fn names<'b>(&'b self, numbers: &'b [GroupId]) -> impl Iterator<Item = &'b ObjectName> {
        self.of(numbers).flat_map(Group::names)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Groups;
    use crate::{cluster::Loaded, policy::compile};

    #[test]
    fn pods_at_the_addresses_of_two_nodes_are_two_groups_where_policies_select_nodes() {
        let groups = |peer: &str| {
            let mut text = format!(
                "{{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {{name: c}}, spec: {{tier: Admin, priority: 1, subject: {{namespaces: {{}}}}, egress: [{{action: Deny, to: [{peer}]}}]}}}}"
            );
            for number in 1..3 {
                text += &format!(
                    "\n---\n{{apiVersion: v1, kind: Node, metadata: {{name: n{number}, labels: {{zone: z{number}}}}}, status: {{addresses: [{{type: InternalIP, address: 192.0.2.{number}}}]}}}}\n---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p{number}}}, spec: {{nodeName: n{number}}}, status: {{podIP: 192.0.2.{number}}}}}"
                );
            }
            let (snapshot, problems) = Loaded::from_text(&text, Path::new("t")).into_snapshot();
            assert_eq!(problems, []);
            let (set, _) = compile(&snapshot);
            Groups::new(&snapshot, &set).iter().count()
        };
        assert_eq!(groups("{nodes: {matchLabels: {zone: z1}}}"), 2);
        assert_eq!(groups("{namespaces: {}}"), 1);
    }
}
