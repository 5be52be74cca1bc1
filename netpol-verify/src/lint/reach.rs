//! Whom a group's policies can let through at all, on whatever port: most pairs need no further question.

use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use super::{
    groups::GroupId,
    world::World,
    written::{PeerKind, Written},
};
use crate::policy::Direction;

/// The other ends that one direction of a group can be open to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nothing restricts it.
    Unrestricted,
    /// Anybody, on some port or by some address.
    Anybody,
    /// Pods of these groups, on some port.
    Groups(BTreeSet<GroupId>),
}

/// Every reach that was asked for.
pub(super) struct Reaches<'w, 'a> {
    world: &'w World<'a>,
    known: HashMap<(GroupId, Direction), Rc<Reach>>,
}

impl<'w, 'a> Reaches<'w, 'a> {
    pub(super) fn new(world: &'w World<'a>) -> Self {
        Self {
            world,
            known: HashMap::new(),
        }
    }

    pub(super) fn of(&mut self, group: GroupId, direction: Direction) -> Rc<Reach> {
        let world = self.world;
        let reach = || Rc::new(reach(world, group, direction));
        Rc::clone(self.known.entry((group, direction)).or_insert_with(reach))
    }
}

fn reach(world: &World<'_>, group: GroupId, direction: Direction) -> Reach {
    // Administrators come before and after; where they speak, only the engine knows.
    if !world.snapshot.admin.is_empty() {
        return Reach::Anybody;
    }
    let isolating: Vec<&Written<'_>> = world
        .isolating(group, direction)
        .map(|(_, policy)| policy)
        .collect();
    if isolating.is_empty() {
        return Reach::Unrestricted;
    }
    let mut groups = BTreeSet::new();
    for rule in isolating.iter().flat_map(|policy| &policy.way(direction).rules) {
        if rule.peers.is_empty() {
            return Reach::Anybody;
        }
        for peer in &rule.peers {
            match &peer.what {
                PeerKind::Pods { groups: meant, .. } => groups.extend(meant),
                PeerKind::Block { .. } => return Reach::Anybody,
                PeerKind::Invalid => {}
            }
        }
    }
    Reach::Groups(groups)
}
