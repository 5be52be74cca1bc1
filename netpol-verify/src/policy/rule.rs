//! Rules, compiled: terms that select classes of pods, blocks of addresses, and what else a peer may be.

use std::collections::HashMap;

use super::{bits::BitSet, labels::Indexed, port::Ports};
use crate::cluster::Action;

/// Pods by namespace and labels; equal terms of different policies are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Term {
    pub(crate) scope: Scope,
    pub(crate) pods: Indexed,
}

/// The namespaces of a term.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// The policy's own.
    Namespace(u32),
    /// Those with these labels.
    Labels(Indexed),
}

/// Every term of every policy, each once, and the classes that it selects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) all: Vec<Term>,
    numbers: HashMap<Term, u32>,
    /// The classes that each selects, in the same order.
    pub(crate) classes: Vec<BitSet>,
}

impl Terms {
    /// The number of a term; its classes are empty until they are worked out.
    pub(crate) fn intern(&mut self, term: Term) -> u32 {
        if let Some(found) = self.numbers.get(&term) {
            return *found;
        }
        let next = self.all.len() as u32;
        self.numbers.insert(term.clone(), next);
        self.all.push(term);
        self.classes.push(BitSet::default());
        next
    }

    /// Whether a term selects a class.
    pub(crate) fn selects(&self, term: u32, class: u32) -> bool {
        self.classes
            .get(term as usize)
            .is_some_and(|classes| classes.contains(class))
    }
}

/// The peers of one rule, joined by OR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    /// `from` or `to` is missing or empty (R6).
    Any,
    /// At least one entry was written. An entry that is invalid adds nothing here.
    Listed(PeerList),
}

/// Written peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PeerList {
    /// Pods, by the numbers of terms.
    pub(crate) terms: Vec<u32>,
    /// Addresses, those of pods too (R12), by the numbers of blocks.
    pub(crate) blocks: Vec<u32>,
    /// Nodes, by labels; only the administrators' policies have such.
    pub(crate) nodes: Vec<Indexed>,
    /// Whether it names domains, which may stand for any address outside.
    pub(crate) domains: bool,
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) peers: Peers,
    pub(crate) ports: Ports,
}

/// One rule of an administrator's policy. One that is read as closed has become what that means.
#[derive(Clone, Debug)]
pub(crate) struct AdminRule {
    pub(crate) action: Action,
    pub(crate) rule: Rule,
}

impl Rule {
    /// Everybody on every port.
    pub(crate) const fn everything() -> Self {
        Self {
            peers: Peers::Any,
            ports: Ports::Any,
        }
    }

    /// Nobody.
    pub(crate) const fn nothing() -> Self {
        Self {
            peers: Peers::Any,
            ports: Ports::Listed(Vec::new()),
        }
    }
}
