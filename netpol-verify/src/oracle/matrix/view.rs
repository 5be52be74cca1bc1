//! Which ends are looked at, in groups that no policy tells apart: 100 million pairs are some thousand meetings of groups.

use std::collections::{BTreeMap, HashMap};

use crate::{
    cluster::{ObjectName, Snapshot, Workload},
    policy::{Likeness, Outside, PodId, PolicySet, outside},
};

use super::selection::Selection;

/// A cluster and its policies.
#[derive(Clone, Copy, Debug)]
pub struct Cluster<'a> {
    /// What is there.
    pub snapshot: &'a Snapshot,
    /// Its policies, compiled.
    pub set: &'a PolicySet,
}

/// What one row or column stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// One pod each.
    Pod,
    /// All pods of one workload; a pod that nobody controls stands for itself.
    Workload,
}

/// The ends in the order they are shown. Of two clusters (a comparison) the pods that both have.
#[derive(Debug)]
pub struct View<'a> {
    /// One cluster, or the one before and the one after a change.
    pub(super) clusters: Vec<Cluster<'a>>,
    pub(super) by: By,
    pub(super) members: Vec<Member>,
    pub(super) groups: Vec<Group>,
    /// Rows and columns where workloads are asked for, by name, with their groups.
    pub(super) workloads: Vec<(String, Vec<u32>)>,
    /// The namespace that all ends are in, if it is one.
    pub(super) namespace: Option<String>,
    /// The pods that only the first, and only the second cluster has.
    pub(super) only: [Vec<ObjectName>; 2],
}

/// One pod or address.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) label: String,
    pub(super) namespace: Option<String>,
    pub(super) workload: Option<Workload>,
    pub(super) group: u32,
    pub(super) spot: Spot,
    /// The node it is on in each cluster.
    nodes: [Option<u32>; 2],
}

/// How a member is asked about in each cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    Pod([PodId; 2]),
    Outside(std::net::IpAddr),
}

/// Members that no policy tells apart and that are shown under the same conditions.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) members: Vec<u32>,
    pub(super) is_source: bool,
    pub(super) is_target: bool,
    is_focus: bool,
    is_outside: bool,
    /// A hostNetwork group, to which nodes matter.
    is_on_host: bool,
    on: Nodes,
}

/// How many members are on each node of the first cluster, of the second, and on each two of both.
#[derive(Debug, Default)]
struct Nodes {
    first: HashMap<u32, u64>,
    second: HashMap<u32, u64>,
    both: HashMap<(u32, u32), u64>,
    /// One member for each place, to be asked for all that are there.
    places: BTreeMap<[Option<u32>; 2], Vec<u32>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    likeness: Vec<Likeness>,
    outside: Option<Outside>,
    namespace: Option<String>,
    workload: Option<u32>,
    is_source: bool,
    is_target: bool,
    is_focus: bool,
}

/// Pairs of two groups that have the same answer: how many they are, and one to ask about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meeting {
    pub(super) from: Spot,
    pub(super) to: Spot,
    pub(super) pairs: u64,
}

impl<'a> View<'a> {
    /// The view of one cluster, or of two.
    #[must_use]
    pub fn new(clusters: Vec<Cluster<'a>>, selection: &Selection, by: By, external: bool) -> Self {
        let mut view = Self {
            clusters,
            by,
            members: Vec::new(),
            groups: Vec::new(),
            workloads: Vec::new(),
            namespace: None,
            only: [Vec::new(), Vec::new()],
        };
        let mut keys: HashMap<Key, u32> = HashMap::new();
        let mut workloads: HashMap<String, u32> = HashMap::new();
        view.take_pods(selection, &mut keys, &mut workloads);
        if external {
            let sets: Vec<&PolicySet> = view.clusters.iter().map(|cluster| cluster.set).collect();
            for outside in outside(&sets) {
                let label = outside.to_string();
                let key = Key {
                    likeness: Vec::new(),
                    namespace: None,
                    workload: (by == By::Workload).then(|| number(&mut workloads, &label)),
                    is_source: selection.takes_any_source(),
                    is_target: selection.takes_any_target(),
                    is_focus: selection.has_no_focus(),
                    outside: Some(outside.clone()),
                };
                let member = Member {
                    label,
                    namespace: None,
                    workload: None,
                    group: 0,
                    spot: Spot::Outside(outside.address),
                    nodes: [None; 2],
                };
                view.put(member, key, &mut keys);
            }
        }
        let mut names: Vec<(String, u32)> = workloads.into_iter().collect();
        names.sort_by_key(|(_, at)| *at);
        let mut rows: Vec<(String, Vec<u32>)> =
            names.into_iter().map(|(name, _)| (name, Vec::new())).collect();
        for (key, group) in keys {
            if let Some((_, groups)) = key.workload.and_then(|at| rows.get_mut(at as usize)) {
                groups.push(group);
            }
        }
        for (_, groups) in &mut rows {
            groups.sort_unstable();
        }
        view.workloads = rows;
        let mut namespaces = view.members.iter().map(|member| member.namespace.as_ref());
        view.namespace = namespaces
            .next()
            .flatten()
            .filter(|first| namespaces.all(|other| other == Some(*first)))
            .cloned();
        view
    }

    /// Whether there is no pod to ask about.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| group.is_outside)
    }

    /// A label without the namespace that all have.
    pub(super) fn short<'l>(&self, label: &'l str) -> &'l str {
        self.namespace
            .as_deref()
            .and_then(|namespace| label.strip_prefix(namespace)?.strip_prefix('/'))
            .unwrap_or(label)
    }

    fn take_pods(
        &mut self,
        selection: &Selection,
        keys: &mut HashMap<Key, u32>,
        workloads: &mut HashMap<String, u32>,
    ) {
        let Some(first) = self.clusters.first().copied() else {
            return;
        };
        let second = self.clusters.get(1).copied();
        if let Some(second) = second {
            for (only, (one, other)) in self.only.iter_mut().zip([(first, second), (second, first)]) {
                *only = one
                    .set
                    .pods()
                    .filter_map(|pod| one.set.name(pod))
                    .filter(|name| other.set.likeness(name).is_none())
                    .cloned()
                    .collect();
                only.sort();
            }
        }
        let mut pods: Vec<_> = first.snapshot.pods.iter().collect();
        pods.sort_by(|one, other| one.name.cmp(&other.name));
        for pod in pods {
            let sets = self.clusters.iter().map(|cluster| cluster.set);
            let likeness: Option<Vec<Likeness>> = sets.map(|set| set.likeness(&pod.name)).collect();
            let ids = |set: &PolicySet| set.pod_id(&pod.name);
            let (Some(likeness), Some(one)) = (likeness, ids(first.set)) else {
                continue;
            };
            let Some(two) = second.map_or(Some(one), |second| ids(second.set)) else {
                continue;
            };
            let (is_source, is_target) = (selection.is_source(pod), selection.is_target(pod));
            if !is_source && !is_target {
                continue;
            }
            let named = || match &pod.workload {
                Some(workload) => format!("{}/{workload}", pod.name.namespace),
                None => pod.name.to_string(),
            };
            let key = Key {
                likeness,
                outside: None,
                namespace: Some(pod.name.namespace.clone()),
                workload: (self.by == By::Workload).then(|| number(workloads, &named())),
                is_source,
                is_target,
                is_focus: selection.is_focus(pod),
            };
            let member = Member {
                label: pod.name.to_string(),
                namespace: Some(pod.name.namespace.clone()),
                workload: pod.workload.clone(),
                group: 0,
                spot: Spot::Pod([one, two]),
                nodes: [
                    first.set.node_of(&pod.name),
                    second.and_then(|second| second.set.node_of(&pod.name)),
                ],
            };
            self.put(member, key, keys);
        }
    }

    fn put(&mut self, mut member: Member, key: Key, keys: &mut HashMap<Key, u32>) {
        let next = self.groups.len() as u32;
        let group = match keys.get(&key) {
            Some(group) => *group,
            None => {
                self.groups.push(Group {
                    members: Vec::new(),
                    is_source: key.is_source,
                    is_target: key.is_target,
                    is_focus: key.is_focus,
                    is_outside: key.outside.is_some(),
                    is_on_host: key.likeness.iter().any(Likeness::is_on_host),
                    on: Nodes::default(),
                });
                keys.insert(key, next);
                next
            }
        };
        member.group = group;
        let place = self.members.len() as u32;
        if let Some(group) = self.groups.get_mut(group as usize) {
            group.members.push(place);
            group.on.put(member.nodes, place);
        }
        self.members.push(member);
    }

    /// Whether a pair of two groups is shown.
    pub(super) fn is_shown(&self, from: &Group, to: &Group) -> bool {
        from.is_source
            && to.is_target
            && (from.is_focus || to.is_focus)
            && !(from.is_outside && to.is_outside)
    }

    /// Which of the meetings of two groups a pair belongs to: 0 but for hostNetwork pods, to which nodes matter.
    pub(super) fn relation(&self, from: &Member, to: &Member) -> usize {
        let on_host = |member: &Member| {
            self.groups
                .get(member.group as usize)
                .is_some_and(|group| group.is_on_host)
        };
        if on_host(from) || on_host(to) {
            relation(from.nodes, to.nodes)
        } else {
            0
        }
    }

    /// In how many ways two groups may meet at most.
    pub(super) fn ways(&self) -> usize {
        if self.groups.iter().any(|group| group.is_on_host) {
            1 << self.clusters.len()
        } else {
            1
        }
    }

    /// Calls with each meeting of two groups; no pod meets itself.
    pub(super) fn meetings(&self, from: u32, to: u32, mut each: impl FnMut(Meeting)) {
        let (Some(one), Some(other)) = (self.groups.get(from as usize), self.groups.get(to as usize)) else {
            return;
        };
        if !self.is_shown(one, other) {
            return;
        }
        let own = if from == to { one.members.len() as u64 } else { 0 };
        let all = one.members.len() as u64 * other.members.len() as u64 - own;
        if all == 0 {
            return;
        }
        if !one.is_on_host && !other.is_on_host {
            let second = usize::from(from == to);
            let ends = one.members.first().zip(other.members.get(second));
            if let Some((from, to)) = ends.and_then(|(from, to)| self.spots(*from, *to)) {
                each(Meeting { from, to, pairs: all });
            }
            return;
        }
        let near = one
            .on
            .near(&other.on, if from == to { Some(&one.on) } else { None });
        let counts = [
            all + near[3] - near[1] - near[2],
            near[1] - near[3],
            near[2] - near[3],
            near[3],
        ];
        for (wanted, pairs) in counts.into_iter().enumerate().filter(|(_, pairs)| *pairs > 0) {
            if let Some((from, to)) = self.example(one, other, wanted) {
                each(Meeting { from, to, pairs });
            }
        }
    }

    fn spots(&self, from: u32, to: u32) -> Option<(Spot, Spot)> {
        let spot = |at: u32| self.members.get(at as usize).map(|member| member.spot);
        spot(from).zip(spot(to))
    }

    /// Two members that stand to each other as wanted.
    fn example(&self, from: &Group, to: &Group, wanted: usize) -> Option<(Spot, Spot)> {
        for (here, sources) in &from.on.places {
            for (there, targets) in &to.on.places {
                if relation(*here, *there) != wanted {
                    continue;
                }
                let source = *sources.first()?;
                if let Some(target) = targets.iter().find(|target| **target != source) {
                    return self.spots(source, *target);
                }
            }
        }
        None
    }
}

/// On the same node in the first cluster, in the second: two bits.
fn relation(one: [Option<u32>; 2], other: [Option<u32>; 2]) -> usize {
    let same = |at: usize| usize::from(one[at].is_some() && one[at] == other[at]);
    same(0) | same(1) << 1
}

fn number(numbers: &mut HashMap<String, u32>, name: &str) -> u32 {
    let next = numbers.len() as u32;
    *numbers.entry(name.to_owned()).or_insert(next)
}

impl Nodes {
    fn put(&mut self, nodes: [Option<u32>; 2], member: u32) {
        if let Some(node) = nodes[0] {
            *self.first.entry(node).or_default() += 1;
        }
        if let Some(node) = nodes[1] {
            *self.second.entry(node).or_default() += 1;
        }
        if let (Some(first), Some(second)) = (nodes[0], nodes[1]) {
            *self.both.entry((first, second)).or_default() += 1;
        }
        let here = self.places.entry(nodes).or_default();
        // A second one is asked where the first would meet itself.
        if here.len() < 2 {
            here.push(member);
        }
    }

    /// How many pairs share a node in the first cluster (at 1), in the second (2), in both (3), none with itself.
    fn near(&self, other: &Self, itself: Option<&Self>) -> [u64; 4] {
        fn sum<K: Eq + std::hash::Hash>(one: &HashMap<K, u64>, other: &HashMap<K, u64>) -> u64 {
            let (few, many) = if one.len() < other.len() {
                (one, other)
            } else {
                (other, one)
            };
            few.iter()
                .map(|(key, count)| count * many.get(key).copied().unwrap_or(0))
                .sum()
        }
        fn all<K>(counts: &HashMap<K, u64>) -> u64 {
            counts.values().sum()
        }
        [
            0,
            sum(&self.first, &other.first) - itself.map_or(0, |own| all(&own.first)),
            sum(&self.second, &other.second) - itself.map_or(0, |own| all(&own.second)),
            sum(&self.both, &other.both) - itself.map_or(0, |own| all(&own.both)),
        ]
    }
}
