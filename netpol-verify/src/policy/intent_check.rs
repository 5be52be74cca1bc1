//! The policies held against an intent.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cluster::{Pod, Snapshot},
    net::Protocol,
};

use super::{
    PolicySet,
    between::{between, facing},
    decision::{Decision, End, Expectation, Traffic, Unspecified},
    explain::{Suggestion, explain},
    intent::{Intent, IntentPath, Whom},
};

/// What the owner wants of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// It must be open.
    Open,
    /// It must be closed.
    Closed,
}

/// One path, what is wanted, and what the policies say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntentCheck {
    /// Who opens the connection; [`Whom::Namespace`] only where that namespace has no pod to ask about.
    pub from: Whom,
    /// To whom.
    pub to: Whom,
    /// With which protocol.
    pub protocol: Protocol,
    /// To which port.
    pub port: u16,
    /// What the owner wants.
    pub wanted: Wanted,
    /// What the policies require; of two address families the one that contradicts.
    pub policy: Expectation,
    /// Who decides, as [`Decision::by`] says.
    pub by: Vec<String>,
    /// What would open a path that is wanted open.
    pub suggestion: Option<Suggestion>,
}

impl IntentCheck {
    /// Whether the policies contradict the owner.
    #[must_use]
    pub const fn is_break(&self) -> bool {
        matches!(
            (self.wanted, self.policy),
            (Wanted::Open, Expectation::Deny) | (Wanted::Closed, Expectation::Allow)
        )
    }
}

impl Intent {
    /// Checks every path; `set` must be compiled from `snapshot`.
    ///
    /// What cannot be asked, because a pod is missing or has no address, is there as `Unspecified` and not left out.
    #[must_use]
    pub fn check(&self, set: &PolicySet, snapshot: &Snapshot) -> Vec<IntentCheck> {
        let open = expanded(&self.paths, snapshot);
        let mut closed = expanded(&self.closed, snapshot);
        if self.others_closed {
            let named: BTreeSet<&IntentPath> = open.iter().chain(&closed).collect();
            let others: Vec<_> = others(&open, &closed)
                .into_iter()
                .filter(|path| !named.contains(path))
                .collect();
            closed.extend(others);
        }
        let wanted_open = open
            .into_iter()
            .map(|path| check(path, Wanted::Open, set, snapshot));
        let wanted_closed = closed
            .into_iter()
            .map(|path| check(path, Wanted::Closed, set, snapshot));
        wanted_open.chain(wanted_closed).collect()
    }
}

/// Every pair of the ends named, on every port named.
fn others(open: &[IntentPath], closed: &[IntentPath]) -> Vec<IntentPath> {
    let all = || open.iter().chain(closed);
    let ends: BTreeSet<&Whom> = all()
        .flat_map(|path| [&path.from, &path.to])
        .filter(|end| matches!(end, Whom::Pod(_)))
        .collect();
    let ports: BTreeSet<(Protocol, u16)> = all().map(|path| (path.protocol, path.port)).collect();
    let mut paths = Vec::new();
    for &(protocol, port) in &ports {
        for &from in &ends {
            for &to in ends.iter().filter(|to| **to != from) {
                paths.push(IntentPath {
                    from: from.clone(),
                    to: to.clone(),
                    protocol,
                    port,
                });
            }
        }
    }
    paths
}

/// `namespace/*` as its pods; each path once, in the order of the file.
fn expanded(paths: &[IntentPath], snapshot: &Snapshot) -> Vec<IntentPath> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for path in paths {
        for from in members(&path.from, snapshot) {
            for to in members(&path.to, snapshot) {
                let one = IntentPath {
                    from: from.clone(),
                    to,
                    ..path.clone()
                };
                let is_wild = matches!(
                    (&path.from, &path.to),
                    (Whom::Namespace(_), _) | (_, Whom::Namespace(_))
                );
                if !(is_wild && one.from == one.to) && seen.insert(one.clone()) {
                    all.push(one);
                }
            }
        }
    }
    all
}

fn members(whom: &Whom, snapshot: &Snapshot) -> Vec<Whom> {
    let Whom::Namespace(namespace) = whom else {
        return vec![whom.clone()];
    };
    let live = |pod: &&Pod| pod.name.namespace == *namespace && !pod.phase.is_terminal();
    let pods: Vec<Whom> = snapshot
        .pods
        .iter()
        .filter(live)
        .map(|pod| Whom::Pod(pod.name.clone()))
        .collect();
    if pods.is_empty() { vec![whom.clone()] } else { pods }
}

fn check(path: IntentPath, wanted: Wanted, set: &PolicySet, snapshot: &Snapshot) -> IntentCheck {
    let contradicts = |decision: &Decision| {
        matches!(
            (wanted, decision.expectation),
            (Wanted::Open, Expectation::Deny) | (Wanted::Closed, Expectation::Allow)
        )
    };
    let answers: Vec<(Traffic, Decision)> = attempts(&path, snapshot)
        .into_iter()
        .map(|traffic| {
            let decision = set.decide(&traffic);
            (traffic, decision)
        })
        .collect();
    let chosen = answers
        .iter()
        .find(|(_, decision)| contradicts(decision))
        .or_else(|| answers.first());
    let unknown = Expectation::Unspecified(Unspecified::UnknownEnd);
    let suggestion = match (wanted, chosen) {
        (Wanted::Open, Some((traffic, decision))) if decision.expectation == Expectation::Deny => {
            explain(snapshot, set, traffic).suggestion
        }
        _ => None,
    };
    IntentCheck {
        wanted,
        policy: chosen.map_or(unknown, |(_, decision)| decision.expectation),
        by: chosen.map_or_else(
            || vec![Unspecified::UnknownEnd.why().to_owned()],
            |(_, decision)| decision.by(),
        ),
        suggestion,
        from: path.from,
        to: path.to,
        protocol: path.protocol,
        port: path.port,
    }
}

/// The attempts that a path stands for: one in each address family that both ends have.
fn attempts(path: &IntentPath, snapshot: &Snapshot) -> Vec<Traffic> {
    let find = |whom: &Whom| match whom {
        Whom::Pod(name) => snapshot.pod(name),
        Whom::Namespace(_) | Whom::Address(_) => None,
    };
    let ends: Vec<(End, End)> = match (&path.from, &path.to) {
        (Whom::Address(from), to) => find(to)
            .and_then(|to| facing(to, *from))
            .map(|to| (End::Address(*from), to))
            .into_iter()
            .collect(),
        (from, Whom::Address(to)) => find(from)
            .and_then(|from| facing(from, *to))
            .map(|from| (from, End::Address(*to)))
            .into_iter()
            .collect(),
        (from, to) => find(from)
            .zip(find(to))
            .map(|(from, to)| between(from, to))
            .unwrap_or_default(),
    };
    ends.into_iter()
        .map(|(from, to)| Traffic::direct(from, to, path.protocol, path.port))
        .collect()
}
