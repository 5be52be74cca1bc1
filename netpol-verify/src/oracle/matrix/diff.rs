//! What a change of the policies opens and closes: the pairs of pods that both sides have, answered by both.

use std::collections::{BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    answers::{Answer, Asked, Word},
    port::Port,
    rows::Expect,
    view::{Spot, View},
};
use crate::{
    cluster::ObjectName,
    net::{Family, Protocol},
    policy::{Outside, outside},
};

/// Two clusters compared.
#[derive(Debug)]
pub struct Diff<'a, 'b> {
    pub(super) view: &'b View<'a>,
    pub(super) ports: Vec<Port>,
    pub(super) changes: Vec<Change>,
}

/// Pairs that are answered otherwise, all in the same way.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) ports: Vec<Port>,
    pub(super) pairs: u64,
    pub(super) what: Changed,
}

/// How a pair is answered before and after.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Changed {
    /// Where only one family changes, or the two change differently.
    pub(super) family: Option<Family>,
    pub(super) before: Answer,
    pub(super) after: Answer,
}

/// What a change does to a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Effect {
    /// It is allowed for certain now.
    Opened,
    /// It is denied for certain now.
    Closed,
    /// The API leaves it open now.
    BecameUnspecified,
}

/// One pair that is answered otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffRow {
    /// Who opens the connection.
    pub from: String,
    /// To whom.
    pub to: String,
    /// The change.
    #[serde(flatten)]
    pub change: DiffChange,
}

/// The part of such a row that many pairs share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffChange {
    /// The protocol.
    pub protocol: Protocol,
    /// The port at the destination pod.
    pub port: u16,
    /// The address family; only where the two do not change alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// What happens to it.
    pub effect: Effect,
    /// What the policies required.
    pub before: Expect,
    /// What they require now.
    pub after: Expect,
    /// Who decided.
    pub by_before: Vec<String>,
    /// Who decides now.
    pub by_after: Vec<String>,
    /// By workload only: how many pairs of pods change like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<u64>,
}

impl Changed {
    pub(super) const fn effect(&self) -> Effect {
        match self.after.word {
            Word::Allow => Effect::Opened,
            Word::Deny => Effect::Closed,
            Word::Unspecified => Effect::BecameUnspecified,
        }
    }
}

impl DiffChange {
    pub(super) fn new(port: Port, changed: &Changed, pairs: Option<u64>) -> Self {
        Self {
            protocol: port.protocol,
            port: port.number,
            family: changed.family,
            effect: changed.effect(),
            before: changed.before.word.into(),
            after: changed.after.word.into(),
            by_before: changed.before.by.clone(),
            by_after: changed.after.by.clone(),
            pairs,
        }
    }
}

impl<'a, 'b> Diff<'a, 'b> {
    /// Compares the two clusters of a view on these ports.
    #[must_use]
    pub fn new(view: &'b View<'a>, ports: Vec<Port>) -> Self {
        let mut changes: Vec<Change> = Vec::new();
        let mut places: HashMap<(u32, u32, u64, Changed), usize> = HashMap::new();
        for port in &ports {
            let Some(sides) = Sides::new(view, *port) else {
                continue;
            };
            view.each_meeting(|from, to, meeting| {
                for what in sides.changed(meeting.from, meeting.to) {
                    let key = (from, to, meeting.pairs, what.clone());
                    if let Some(change) = places.get(&key).and_then(|at| changes.get_mut(*at))
                        && !change.ports.contains(port)
                    {
                        change.ports.push(*port);
                        continue;
                    }
                    places.insert(key, changes.len());
                    changes.push(Change {
                        from,
                        to,
                        ports: vec![*port],
                        pairs: meeting.pairs,
                        what,
                    });
                }
            });
        }
        Self { view, ports, changes }
    }

    /// Whether every pair is answered as before.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many pairs, counted on each port, have an effect.
    #[must_use]
    pub fn count(&self, effect: Effect) -> u64 {
        let of = self
            .changes
            .iter()
            .filter(|change| change.what.effect() == effect);
        of.map(|change| change.pairs * change.ports.len() as u64).sum()
    }

    /// The pods that only the first side has: nothing is said about them.
    #[must_use]
    pub fn removed(&self) -> &[ObjectName] {
        &self.view.only[0]
    }

    /// The pods that only the second side has, likewise.
    #[must_use]
    pub fn added(&self) -> &[ObjectName] {
        &self.view.only[1]
    }

    /// Whether the two sides name other blocks of addresses.
    #[must_use]
    pub fn has_other_blocks(&self) -> bool {
        let mut sides = self.view.clusters.iter().map(|cluster| {
            let all = outside(&[cluster.set]).into_iter();
            let blocks = all.filter_map(|Outside { net, except, .. }| Some((net?, except)));
            blocks.collect::<BTreeSet<_>>()
        });
        sides.next() != sides.next()
    }
}

/// Both sides on one port.
pub(super) struct Sides<'a>([Asked<'a>; 2]);

impl<'a> Sides<'a> {
    pub(super) fn new(view: &View<'a>, port: Port) -> Option<Self> {
        Some(Self([Asked::new(view, 0, port)?, Asked::new(view, 1, port)?]))
    }

    /// How a pair changes in the families that it has on both sides; nothing where it does not.
    pub(super) fn changed(&self, from: Spot, to: Spot) -> Vec<Changed> {
        let [before, after] = &self.0;
        let words = (before.cell(from, to).words(), after.cell(from, to).words());
        // Most pairs do not change, and need no reasons.
        let is_same = |at: usize| {
            words.0[at]
                .zip(words.1[at])
                .is_none_or(|(one, other)| one == other)
        };
        if is_same(0) && is_same(1) {
            return Vec::new();
        }
        let (before, after) = (before.decide(from, to), after.decide(from, to));
        let families = [Family::Ipv4, Family::Ipv6]
            .into_iter()
            .zip(before.into_iter().zip(after));
        let both: Vec<Changed> = families
            .filter_map(|(family, (before, after))| {
                Some(Changed {
                    family: Some(family),
                    before: Answer::of(&before?),
                    after: Answer::of(&after?),
                })
            })
            .collect();
        let alike = |one: &Changed, other: &Changed| one.before == other.before && one.after == other.after;
        let merged = both
            .iter()
            .all(|one| both.first().is_some_and(|first| alike(one, first)));
        let is_change = |one: &Changed| one.before.word != one.after.word;
        if merged {
            return both
                .into_iter()
                .take(1)
                .map(|one| Changed { family: None, ..one })
                .collect();
        }
        both.into_iter().filter(is_change).collect()
    }
}
