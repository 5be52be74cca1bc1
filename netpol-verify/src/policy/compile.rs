//! A snapshot to a policy set; Kubernetes' types are known here and in the `compile_` files beside it only.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;

use crate::cluster::{NAMESPACE_NAME_LABEL, Pod, Problem, Snapshot, SourcedPolicy, path::FieldPath};

use super::{
    compile_port::PortNames,
    compile_rule::{Written, block, directions},
    compile_selector::selector,
    decision::PolicyRef,
    peer::{ClassSet, Peers},
    port::{NamedPort, Ports},
    selector::Selector,
    set::{Class, Compiled, PodEntry, PolicySet, Rule},
};

type Labels = BTreeMap<String, String>;

/// Compiles every policy of the snapshot; it never fails.
///
/// What the API would refuse becomes a problem and lets nothing through, while its policy isolates all the same.
#[must_use]
pub fn compile(snapshot: &Snapshot) -> (PolicySet, Vec<Problem>) {
    let mut world = World::new(snapshot);
    let mut problems = Vec::new();
    let mut policies = Vec::with_capacity(snapshot.policies.len());
    for sourced in &snapshot.policies {
        let mut report = Report {
            sourced,
            problems: &mut problems,
        };
        policies.push(world.policy(policies.len() as u32, sourced, &mut report));
    }
    (world.finish(snapshot, policies), problems)
}

/// Gathers the problems of one policy.
pub(crate) struct Report<'a> {
    sourced: &'a SourcedPolicy,
    problems: &'a mut Vec<Problem>,
}

impl Report<'_> {
    pub(crate) fn problem(&mut self, path: &FieldPath, message: String) {
        self.problems.push(Problem {
            place: self.sourced.place.clone(),
            object: Some(format!("NetworkPolicy {}", self.sourced.name())),
            path: Some(path.to_string()),
            message,
        });
    }
}

/// The pods as selectors see them.
struct World<'a> {
    namespaces: Vec<(&'a str, Labels)>,
    namespace_index: HashMap<&'a str, u32>,
    /// The namespace and labels of each class.
    keys: Vec<(u32, &'a Labels)>,
    class_of: HashMap<(u32, &'a Labels), u32>,
    classes: Vec<Class>,
    names: PortNames,
}

impl<'a> World<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let mut world = Self {
            namespaces: Vec::new(),
            namespace_index: HashMap::new(),
            keys: Vec::new(),
            class_of: HashMap::new(),
            classes: Vec::new(),
            names: PortNames::default(),
        };
        for namespace in &snapshot.namespaces {
            world.namespace(&namespace.name, Some(&namespace.labels));
        }
        for pod in &snapshot.pods {
            let namespace = world.namespace(&pod.name.namespace, None);
            // Pods that are over (R28) and hostNetwork pods (R24) are neither subjects nor peers: no class of theirs.
            if counts(pod) && !world.class_of.contains_key(&(namespace, &pod.labels)) {
                world
                    .class_of
                    .insert((namespace, &pod.labels), world.keys.len() as u32);
                world.keys.push((namespace, &pod.labels));
                world.classes.push(Class::default());
            }
        }
        world
    }

    fn namespace(&mut self, name: &'a str, labels: Option<&Labels>) -> u32 {
        let next = self.namespaces.len() as u32;
        let index = *self.namespace_index.entry(name).or_insert(next);
        if index == next || labels.is_some() {
            let mut labels = labels.cloned().unwrap_or_default();
            labels.insert(NAMESPACE_NAME_LABEL.to_owned(), name.to_owned());
            match self.namespaces.get_mut(index as usize) {
                Some(slot) => *slot = (name, labels),
                None => self.namespaces.push((name, labels)),
            }
        }
        index
    }

    fn policy(&mut self, index: u32, sourced: &SourcedPolicy, report: &mut Report<'_>) -> Compiled {
        let name = sourced.name();
        let home = self.namespace_index.get(name.namespace.as_str()).copied();
        let top = FieldPath::of("spec");
        let (ingress, egress) = directions(&sourced.object, report);
        let spec = sourced.object.spec.as_ref();
        let chosen = selector(
            spec.and_then(|spec| spec.pod_selector.as_ref()),
            &top.key("podSelector"),
            "the policy selects no pod",
            report,
        );
        for (class, (namespace, labels)) in self.classes.iter_mut().zip(&self.keys) {
            if Some(*namespace) == home && chosen.as_ref().is_some_and(|chosen| chosen.matches(labels)) {
                class.ingress.extend(ingress.then_some(index));
                class.egress.extend(egress.then_some(index));
            }
        }
        // Rules of a direction that is not listed are compiled too, for their problems; nothing asks them.
        let written = spec.and_then(|spec| spec.ingress.as_deref()).unwrap_or_default();
        let ingress_rules = self.rules(written, &top.key("ingress"), home, report);
        let written = spec.and_then(|spec| spec.egress.as_deref()).unwrap_or_default();
        let egress_rules = self.rules(written, &top.key("egress"), home, report);
        Compiled {
            name: PolicyRef(name),
            ingress: ingress_rules,
            egress: egress_rules,
        }
    }

    fn rules<R: Written>(
        &mut self,
        written: &[R],
        path: &FieldPath,
        home: Option<u32>,
        report: &mut Report<'_>,
    ) -> Vec<Rule> {
        let mut rules = Vec::with_capacity(written.len());
        for (index, rule) in written.iter().enumerate() {
            let path = path.index(index);
            let ports = match rule.ports() {
                [] => Ports::Any,
                entries => {
                    let path = path.key("ports");
                    let entry = |(at, entry)| self.names.port(entry, &path.index(at), report);
                    Ports::Listed(entries.iter().enumerate().filter_map(entry).collect())
                }
            };
            rules.push(Rule {
                peers: self.peers(rule.peers(), &path.key(R::PEERS), home, report),
                ports,
            });
        }
        rules
    }

    fn peers(
        &self,
        written: &[NetworkPolicyPeer],
        path: &FieldPath,
        home: Option<u32>,
        report: &mut Report<'_>,
    ) -> Peers {
        if written.is_empty() {
            return Peers::Any;
        }
        let (mut classes, mut blocks) = (ClassSet::default(), Vec::new());
        for (index, peer) in written.iter().enumerate() {
            let path = path.index(index);
            let by_labels = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
            match &peer.ip_block {
                Some(_) if by_labels => {
                    report.problem(&path, "ipBlock excludes podSelector and namespaceSelector; the peer matches nothing: make it two entries".to_owned());
                }
                Some(written) => {
                    let except = written.except.as_deref().unwrap_or_default();
                    blocks.extend(block(&written.cidr, except, &path.key("ipBlock"), report));
                }
                None if by_labels => self.by_labels(peer, &path, home, report, &mut classes),
                None => {
                    report.problem(&path, "says nothing; expected podSelector, namespaceSelector or ipBlock; the peer matches nothing".to_owned());
                }
            }
        }
        Peers::Listed { classes, blocks }
    }

    /// Both selectors of one entry must match (R7); without namespaceSelector it is the policy's own namespace.
    fn by_labels(
        &self,
        peer: &NetworkPolicyPeer,
        path: &FieldPath,
        home: Option<u32>,
        report: &mut Report<'_>,
        into: &mut ClassSet,
    ) {
        const NOTHING: &str = "the peer matches nothing";
        let pods = selector(
            peer.pod_selector.as_ref(),
            &path.key("podSelector"),
            NOTHING,
            report,
        );
        let namespaces = selector(
            peer.namespace_selector.as_ref(),
            &path.key("namespaceSelector"),
            NOTHING,
            report,
        );
        let (Some(pods), Some(namespaces)) = (pods, namespaces) else {
            return;
        };
        let chosen = self.namespaces_chosen(peer.namespace_selector.is_some().then_some(&namespaces), home);
        for (class, (namespace, labels)) in self.keys.iter().enumerate() {
            if chosen.get(*namespace as usize) == Some(&true) && pods.matches(labels) {
                into.insert(class as u32);
            }
        }
    }

    fn namespaces_chosen(&self, selector: Option<&Selector>, home: Option<u32>) -> Vec<bool> {
        self.namespaces
            .iter()
            .enumerate()
            .map(|(index, (_, labels))| match selector {
                Some(selector) => selector.matches(labels),
                None => home == Some(index as u32),
            })
            .collect()
    }

    fn finish(self, snapshot: &Snapshot, policies: Vec<Compiled>) -> PolicySet {
        let mut set = PolicySet {
            generation: snapshot.generation,
            policies,
            classes: self.classes,
            ..PolicySet::default()
        };
        let names = snapshot
            .nodes
            .iter()
            .map(|node| &node.name)
            .chain(snapshot.pods.iter().filter_map(|pod| pod.node.as_ref()));
        for name in names {
            let next = set.node_index.len() as u32;
            set.node_index.entry(name.clone()).or_insert(next);
        }
        for pod in &snapshot.pods {
            let namespace = self.namespace_index.get(pod.name.namespace.as_str()).copied();
            let class = namespace.and_then(|namespace| self.class_of.get(&(namespace, &pod.labels)).copied());
            let named = pod.ports.iter().filter_map(|port| {
                let name = self.names.get(port.name.as_deref()?)?;
                Some(NamedPort {
                    name,
                    protocol: port.protocol,
                    port: port.port,
                })
            });
            let entry = PodEntry {
                class: class.unwrap_or(u32::MAX),
                node: pod
                    .node
                    .as_ref()
                    .and_then(|node| set.node_index.get(node).copied()),
                ips: pod.ips.iter().map(std::net::IpAddr::to_canonical).collect(),
                is_over: pod.phase.is_terminal(),
                host_network: pod.host_network,
                named: named.collect(),
            };
            set.pod_index.insert(pod.name.clone(), set.pods.len() as u32);
            set.pods.push(entry);
        }
        set
    }
}

fn counts(pod: &Pod) -> bool {
    !pod.phase.is_terminal() && !pod.host_network
}
