//! Which class an endpoint is of, and what a class is subject to.

use std::net::IpAddr;

use crate::{
    cluster::{Pod, Tier},
    net::Family,
};

use super::{
    bits::BitSet,
    decision::Direction,
    port::NamedPort,
    rule::Scope,
    set::{Class, ClassKey, NO_CLASS, PodEntry, PolicySet, Subject},
};

impl PolicySet {
    /// Puts a pod, new or changed, in its classes.
    ///
    /// A pod that is over is neither subject nor peer and has no class (R28). A hostNetwork pod has one: whether selectors
    /// see it is open (R24), and both readings are asked.
    pub(crate) fn put_pod(&mut self, pod: &Pod) {
        let ips: Vec<IpAddr> = pod.ips.iter().map(IpAddr::to_canonical).collect();
        let classes = if pod.phase.is_terminal() {
            [NO_CLASS; 2]
        } else {
            let namespace = self.namespace(&pod.name.namespace);
            let labels = self.vocabulary.pod_labels.signature(&pod.labels);
            let named = self.named_ports(pod);
            [Family::Ipv4, Family::Ipv6].map(|family| {
                let address = ips.iter().copied().find(|ip| Family::of(*ip) == family);
                let blocks = match address {
                    None if !ips.is_empty() => return NO_CLASS,
                    None => self.blocks_of(None),
                    Some(address) => self.blocks_at(address),
                };
                self.class_of(ClassKey {
                    namespace,
                    labels: labels.clone(),
                    named,
                    blocks,
                })
            })
        };
        let entry = PodEntry {
            name: pod.name.clone(),
            classes,
            node: pod.node.as_deref().map(|node| self.node(node)),
            ips,
            is_over: pod.phase.is_terminal(),
            host_network: pod.host_network,
        };
        self.wanderers += usize::from(entry.is_wanderer());
        match self.pod_index.get(&pod.name) {
            Some(index) => {
                if let Some(slot) = self.pods.get_mut(*index as usize) {
                    let before = std::mem::replace(slot, entry);
                    self.wanderers -= usize::from(before.is_wanderer());
                }
            }
            None => {
                self.pod_index.insert(pod.name.clone(), self.pods.len() as u32);
                self.pods.push(entry);
            }
        }
    }

    /// The number of a namespace, which comes into being when it is first named.
    pub(crate) fn namespace(&mut self, name: &str) -> u32 {
        if let Some(found) = self.namespace_index.get(name) {
            return *found;
        }
        let next = self.namespaces.len() as u32;
        self.namespace_index.insert(name.to_owned(), next);
        self.namespaces.push(Default::default());
        next
    }

    /// The number of a node, which comes into being when it is first named.
    pub(crate) fn node(&mut self, name: &str) -> u32 {
        if let Some(found) = self.node_index.get(name) {
            return *found;
        }
        let next = self.nodes.len() as u32;
        self.node_index.insert(name.to_owned(), next);
        self.nodes.push(Default::default());
        next
    }

    fn named_ports(&mut self, pod: &Pod) -> u32 {
        let named: Vec<NamedPort> = pod
            .ports
            .iter()
            .filter_map(|port| {
                Some(NamedPort {
                    name: self.vocabulary.names.get(port.name.as_deref()?)?,
                    protocol: port.protocol,
                    port: port.port,
                })
            })
            .collect();
        let next = self.traits.named.len() as u32;
        if let Some(found) = self.traits.named_index.get(&named) {
            return *found;
        }
        self.traits.named_index.insert(named.clone(), next);
        self.traits.named.push(named);
        next
    }

    fn blocks_at(&mut self, address: IpAddr) -> u32 {
        let stretch = self.vocabulary.blocks.stretch(address);
        if let Some(found) = self.traits.stretches.get(&stretch) {
            return *found;
        }
        let number = self.blocks_of(Some(self.vocabulary.blocks.holding(address)));
        self.traits.stretches.insert(stretch, number);
        number
    }

    fn blocks_of(&mut self, blocks: Option<Vec<u32>>) -> u32 {
        if let Some(found) = self.traits.blocks_index.get(&blocks) {
            return *found;
        }
        let next = self.traits.blocks.len() as u32;
        self.traits.blocks_index.insert(blocks.clone(), next);
        self.traits.blocks.push(blocks);
        next
    }

    fn class_of(&mut self, key: ClassKey) -> u32 {
        if let Some(found) = self.class_index.get(&key) {
            return *found;
        }
        let next = self.classes.len() as u32;
        self.vocabulary.pod_labels.put(next, &key.labels);
        if let Some(namespace) = self.namespaces.get_mut(key.namespace as usize) {
            namespace.classes.insert(next);
        }
        self.classes.push(Class {
            namespace: key.namespace,
            named: key.named,
            blocks: key.blocks,
            ingress: Subject::default(),
            egress: Subject::default(),
        });
        self.class_index.insert(key, next);
        self.fresh.push(next);
        next
    }

    /// Works out terms and subjects of the classes that came, one by one.
    pub(crate) fn place_fresh(&mut self) {
        for class in std::mem::take(&mut self.fresh) {
            self.place_class(class);
        }
    }

    /// Works out every term over all classes, and every class's subject: the way at the start, when all are fresh.
    pub(crate) fn place_everything(&mut self) {
        self.fresh.clear();
        for term in 0..self.vocabulary.terms.all.len() as u32 {
            self.place_term(term);
        }
        self.place_subjects(0..self.classes.len() as u32);
    }

    /// Works out what classes are subject to.
    pub(crate) fn place_subjects(&mut self, classes: impl IntoIterator<Item = u32>) {
        for number in classes {
            let Some(namespace) = self.class(number).map(|class| class.namespace) else {
                continue;
            };
            for direction in [Direction::Ingress, Direction::Egress] {
                let subject = self.subject(namespace, number, direction);
                if let Some(class) = self.classes.get_mut(number as usize) {
                    *class.subject_mut(direction) = subject;
                }
            }
        }
    }

    /// Works out which terms select a class, and what it is subject to.
    pub(crate) fn place_class(&mut self, class: u32) {
        let Some(namespace) = self.class(class).map(|class| class.namespace) else {
            return;
        };
        let words = &mut self.vocabulary;
        for (term, classes) in words.terms.all.iter().zip(&mut words.terms.classes) {
            let in_scope = match &term.scope {
                Scope::Namespace(home) => *home == namespace,
                Scope::Labels(wanted) => words.namespace_labels.selects(wanted, namespace),
            };
            classes.set(class, in_scope && words.pod_labels.selects(&term.pods, class));
        }
        self.place_subjects([class]);
    }

    fn subject(&self, namespace: u32, class: u32, direction: Direction) -> Subject {
        let terms = &self.vocabulary.terms;
        let policies = self
            .namespaces
            .get(namespace as usize)
            .map_or(&[][..], |namespace| namespace.policies.as_slice());
        let isolating = policies.iter().copied().filter(|number| {
            self.policies.get(*number as usize).is_some_and(|policy| {
                policy.isolates(direction) && policy.subject.is_some_and(|term| terms.selects(term, class))
            })
        });
        let of_tier = |tier| {
            let mut found: Vec<u32> = (0_u32..)
                .zip(&self.admin)
                .filter(|(_, policy)| policy.tier == tier && !policy.rules(direction).is_empty())
                .filter(|(_, policy)| policy.subject.is_some_and(|term| terms.selects(term, class)))
                .map(|(number, _)| number)
                .collect();
            found.sort_by_key(|number| self.admin.get(*number as usize).map(|policy| policy.priority));
            found
        };
        Subject {
            isolating: isolating.collect(),
            admin: of_tier(Tier::Admin),
            baseline: of_tier(Tier::Baseline),
        }
    }

    /// Works out which classes a term selects.
    pub(crate) fn place_term(&mut self, number: u32) {
        let words = &self.vocabulary;
        let Some(term) = words.terms.all.get(number as usize) else {
            return;
        };
        let everyone = BitSet::full(self.classes.len() as u32);
        let in_scope = match &term.scope {
            Scope::Namespace(home) => self
                .namespaces
                .get(*home as usize)
                .map(|namespace| namespace.classes.clone())
                .unwrap_or_default(),
            Scope::Labels(wanted) if wanted.is_everything() => everyone,
            Scope::Labels(wanted) => {
                let mut classes = BitSet::default();
                let all = BitSet::full(self.namespaces.len() as u32);
                for namespace in words.namespace_labels.select(wanted, all).iter() {
                    if let Some(namespace) = self.namespaces.get(namespace as usize) {
                        classes.union(&namespace.classes);
                    }
                }
                classes
            }
        };
        let selected = words.pod_labels.select(&term.pods, in_scope);
        if let Some(classes) = self.vocabulary.terms.classes.get_mut(number as usize) {
            *classes = selected;
        }
    }
}
