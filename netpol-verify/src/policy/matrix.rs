//! Who may reach whom on one port, for all pods at once: rows of bits over classes, expanded only where asked.

use std::collections::HashMap;

use super::{
    bits::{BitSet, Square},
    decision::{Decision, Direction, Expectation, Traffic, Unspecified},
    port::NameId,
    rule::{Peers, Rule},
    set::{CompiledAdmin, NO_CLASS, PodEntry, PolicySet},
};
use crate::{
    cluster::{Action, ObjectName},
    net::{Family, Protocol},
};

/// A pod of a policy set, by number. Numbers hold until the set changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodId(u32);

/// The answers between all pods on one protocol and port.
///
/// Pods of one class have the same answers, so that a matrix of 10,000 pods is one of some hundred classes. What is certain
/// and what is possible are kept apart: where they differ, the API leaves it open.
#[derive(Clone, Debug)]
pub struct Matrix<'a> {
    set: &'a PolicySet,
    protocol: Protocol,
    port: u16,
    certain: Square,
    possible: Square,
    /// The pods, by number, that are asked about one by one: those on their node's network, and those at an address of a
    /// node, where some policy selects nodes.
    singly: BitSet,
}

/// The peers that a rule or a tier lets through.
#[derive(Clone, Debug, Default)]
struct Row {
    certain: BitSet,
    possible: BitSet,
}

/// What the port makes of names and blocks, worked out once for all rules.
struct Port<'a> {
    set: &'a PolicySet,
    protocol: Protocol,
    port: u16,
    /// The classes that give a name to this port.
    names: HashMap<NameId, BitSet>,
    /// By block: the classes whose address it holds for certain, and those whose address it may hold.
    blocks: Vec<Row>,
    everyone: BitSet,
}

impl PolicySet {
    /// The matrix of one port.
    #[must_use]
    pub fn matrix(&self, protocol: Protocol, port: u16) -> Matrix<'_> {
        let of = Port::new(self, protocol, port);
        let (egress, ingress) = (of.rows(Direction::Egress), of.rows(Direction::Ingress));
        let joined = |egress: Vec<BitSet>, ingress: Vec<BitSet>| {
            let mut rows = Square::new(&egress);
            rows.intersect(&Square::new(&ingress).transposed());
            rows
        };
        Matrix {
            set: self,
            protocol,
            port,
            certain: joined(egress.0, ingress.0),
            possible: joined(egress.1, ingress.1),
            singly: self.asked_singly(),
        }
    }

    fn asked_singly(&self) -> BitSet {
        let mut singly = BitSet::default();
        for (number, pod) in (0..).zip(&self.pods) {
            let is_at_node = || pod.ips.iter().any(|ip| self.node_addresses.contains_key(ip));
            if pod.host_network || self.selects_nodes && is_at_node() {
                singly.insert(number);
            }
        }
        singly
    }

    /// Every pod that is not over, in the order of the snapshot.
    pub fn pods(&self) -> impl Iterator<Item = PodId> + '_ {
        (0..)
            .zip(&self.pods)
            .filter(|(_, pod)| !pod.is_over)
            .map(|(number, _)| PodId(number))
    }

    /// The number of a pod, if it is there.
    #[must_use]
    pub fn pod_id(&self, name: &ObjectName) -> Option<PodId> {
        self.pod_index.get(name).copied().map(PodId)
    }

    /// The name of a pod.
    #[must_use]
    pub fn name(&self, pod: PodId) -> Option<&ObjectName> {
        self.entry(pod).map(|entry| &entry.name)
    }

    /// How many classes of endpoints there are that some policy can tell apart.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    fn entry(&self, pod: PodId) -> Option<&PodEntry> {
        self.pods.get(pod.0 as usize)
    }
}

impl<'a> Matrix<'a> {
    /// The set it is made from.
    #[must_use]
    pub const fn set(&self) -> &'a PolicySet {
        self.set
    }

    /// The protocol and port it is about.
    #[must_use]
    pub const fn port(&self) -> (Protocol, u16) {
        (self.protocol, self.port)
    }

    /// Whether a pod may reach another one in a family; `None` where there is no such pair of addresses.
    ///
    /// Pods whose address is not known are the same in both families.
    #[must_use]
    pub fn expect(&self, from: PodId, to: PodId, family: Family) -> Option<Expectation> {
        let (source, target) = (self.set.entry(from)?, self.set.entry(to)?);
        let (row, column) = (source.class(family)?, target.class(family)?);
        if from == to {
            return Some(Expectation::Unspecified(Unspecified::Loopback));
        }
        if self.singly.contains(from.0) || self.singly.contains(to.0) {
            return self.decide(from, to, family).map(|decision| decision.expectation);
        }
        if self.certain.contains(row, column) {
            return Some(Expectation::Allow);
        }
        if !self.possible.contains(row, column) {
            return Some(Expectation::Deny);
        }
        self.decide(from, to, family).map(|decision| decision.expectation)
    }

    /// The answer with its reasons.
    #[must_use]
    pub fn decide(&self, from: PodId, to: PodId, family: Family) -> Option<Decision> {
        Some(self.set.decide(&self.traffic(from, to, family)?))
    }

    /// The question that a cell answers.
    #[must_use]
    pub fn traffic(&self, from: PodId, to: PodId, family: Family) -> Option<Traffic> {
        Some(Traffic::direct(
            self.set.end(from, family)?,
            self.set.end(to, family)?,
            self.protocol,
            self.port,
        ))
    }

    /// The whole matrix of a family written out: for every pod, in the order of their numbers, the pods that it may reach for
    /// certain, itself and pods on their node's network left out; 64 pods a word, the lowest bit first, each row from a new word on.
    ///
    /// It is as large as pods squared. What only looks at some pairs asks [`Matrix::expect`].
    #[must_use]
    pub fn written_out(&self, family: Family) -> Vec<u64> {
        let classes: Vec<u32> = (0..)
            .zip(&self.set.pods)
            .map(|(number, pod)| {
                pod.class(family)
                    .filter(|_| !self.singly.contains(number))
                    .unwrap_or(NO_CLASS)
            })
            .collect();
        let stride = classes.len().div_ceil(64);
        let mut words = vec![0_u64; classes.len() * stride];
        // Pods of one class have one row: written once, then copied. A pod's own bit is cleared last.
        let mut first_of_class: HashMap<u32, usize> = HashMap::new();
        for (pod, class) in classes
            .iter()
            .enumerate()
            .filter(|(_, class)| **class != NO_CLASS)
        {
            let start = pod * stride;
            match first_of_class.get(class) {
                Some(first) => words.copy_within(first * stride..(first + 1) * stride, start),
                None => {
                    first_of_class.insert(*class, pod);
                    for (word, columns) in words.iter_mut().skip(start).zip(classes.chunks(64)) {
                        for (bit, column) in columns.iter().enumerate() {
                            *word |= u64::from(self.certain.contains(*class, *column)) << bit;
                        }
                    }
                }
            }
        }
        for pod in 0..classes.len() {
            if let Some(word) = words.get_mut(pod * stride + pod / 64) {
                *word &= !(1 << (pod % 64));
            }
        }
        words
    }
}

impl<'a> Port<'a> {
    fn new(set: &'a PolicySet, protocol: Protocol, port: u16) -> Self {
        let mut names: HashMap<NameId, BitSet> = HashMap::new();
        let mut blocks = vec![Row::default(); set.vocabulary.blocks.all.len()];
        for (number, class) in (0..).zip(&set.classes) {
            for declared in set.named(number) {
                if super::port::declares(set.named(number), declared.name, protocol, port) {
                    names.entry(declared.name).or_default().insert(number);
                }
            }
            match set.traits.blocks.get(class.blocks as usize) {
                Some(Some(holding)) => {
                    for block in holding {
                        if let Some(row) = blocks.get_mut(*block as usize) {
                            row.certain.insert(number);
                        }
                    }
                }
                Some(None) | None => {
                    for (block, row) in set.vocabulary.blocks.all.iter().zip(&mut blocks) {
                        if block.is_everything() {
                            row.certain.insert(number);
                        } else {
                            row.possible.insert(number);
                        }
                    }
                }
            }
        }
        Self {
            set,
            protocol,
            port,
            names,
            blocks,
            everyone: BitSet::full(set.classes.len() as u32),
        }
    }

    /// For every class its peers in one direction: certain ones and possible ones.
    fn rows(&self, direction: Direction) -> (Vec<BitSet>, Vec<BitSet>) {
        (0..self.set.classes.len() as u32)
            .map(|class| {
                let row = self.peers_of(class, direction);
                (row.certain, row.possible)
            })
            .unzip()
    }

    /// The tiers backwards: what follows a tier is known when the tier is asked.
    fn peers_of(&self, class: u32, direction: Direction) -> Row {
        let all = || Row {
            certain: self.everyone.clone(),
            possible: self.everyone.clone(),
        };
        let Some(subject) = self.set.class(class).map(|class| class.subject(direction)) else {
            return Row::default();
        };
        let next = if subject.isolating.is_empty() {
            self.tier(&subject.baseline, class, direction, all())
        } else {
            let mut row = Row::default();
            for policy in self.set.policies(&subject.isolating) {
                for rule in policy.rules(direction) {
                    self.add(rule, class, direction, &mut row);
                }
            }
            row
        };
        self.tier(&subject.admin, class, direction, next)
    }

    fn tier(&self, policies: &[u32], class: u32, direction: Direction, next: Row) -> Row {
        if policies.is_empty() {
            return next;
        }
        let mut later = next.clone();
        for group in self.set.groups(policies).rev() {
            later = self.group(&group, class, direction, &next, &later);
        }
        later
    }

    /// One group of equal priority: `pass` is what follows the tier, `later` what follows the group.
    fn group(
        &self,
        group: &[&CompiledAdmin],
        class: u32,
        direction: Direction,
        pass: &Row,
        later: &Row,
    ) -> Row {
        let (mut accepts, mut denies, mut passes) = (BitSet::default(), BitSet::default(), BitSet::default());
        let mut unmatched = self.everyone.clone();
        for policy in group {
            let mut left = self.everyone.clone();
            for rule in policy.rules(direction) {
                let mut matched = Row::default();
                self.add(&rule.rule, class, direction, &mut matched);
                let by_action = match rule.action {
                    Action::Accept => &mut accepts,
                    Action::Deny => &mut denies,
                    Action::Pass => &mut passes,
                };
                by_action.union_of_both(&left, &matched.possible);
                left.subtract(&matched.certain);
            }
            unmatched.intersect(&left);
        }
        // Certain: whatever may be done lets it through. Possible: something that may be done does.
        let mut certain = self.everyone.clone();
        certain.subtract(&denies);
        for (may_be, then) in [(&passes, pass), (&unmatched, later)] {
            let mut stopped = may_be.clone();
            stopped.subtract(&then.certain);
            certain.subtract(&stopped);
        }
        let mut possible = accepts;
        possible.union_of_both(&passes, &pass.possible);
        possible.union_of_both(&unmatched, &later.possible);
        Row { certain, possible }
    }

    /// Adds the classes that a rule matches.
    fn add(&self, rule: &Rule, class: u32, direction: Direction, row: &mut Row) {
        let by_number = rule.ports.by_number(self.protocol, self.port);
        let every_port = by_number
            || direction == Direction::Ingress
                && rule
                    .ports
                    .matches(self.protocol, self.port, self.set.named(class));
        let names = || {
            let names = rule.ports.names(self.protocol);
            names.filter_map(|name| self.names.get(&name))
        };
        match &rule.peers {
            Peers::Any if every_port => row.add(&self.everyone),
            Peers::Any if direction == Direction::Egress => names().for_each(|named| row.add(named)),
            Peers::Listed(peers) if every_port || direction == Direction::Egress => {
                let terms = &self.set.vocabulary.terms.classes;
                for selected in peers.terms.iter().filter_map(|term| terms.get(*term as usize)) {
                    if every_port {
                        row.add(selected);
                    } else {
                        names().for_each(|named| row.add_both(selected, named));
                    }
                }
                // What is met as an address declares no names (R17).
                let blocks = peers.blocks.iter().filter(|_| every_port);
                for block in blocks.filter_map(|block| self.blocks.get(*block as usize)) {
                    row.add(&block.certain);
                    row.possible.union(&block.possible);
                }
            }
            Peers::Any | Peers::Listed(_) => {}
        }
    }
}

impl Row {
    fn add(&mut self, classes: &BitSet) {
        self.certain.union(classes);
        self.possible.union(classes);
    }

    /// Adds what is in both.
    fn add_both(&mut self, one: &BitSet, other: &BitSet) {
        self.certain.union_of_both(one, other);
        self.possible.union_of_both(one, other);
    }
}
