//! What each fault of the engine makes of an attempt, by the literal reading.

use super::{super::prediction::Made, EngineFault};
use crate::{
    lab::{
        LabPod,
        fault::{
            Effect,
            attempt::{Attempt, OPEN, Sides, Views, party},
        },
        literal::Way,
    },
    net::Protocol,
};

/// A port of the kind that the lab sends from.
const SOURCE_PORT: u16 = 25_000;

impl EngineFault {
    /// What it makes of an attempt by fresh addresses and ports, unwrapped and from the pod's own address.
    pub(in super::super) fn made(self, attempt: &Attempt<'_>, required: Sides) -> Option<Made> {
        let nodes = &attempt.world.nodes;
        let first = nodes.first().map(|node| node.name.as_str());
        let last = nodes.last().map(|node| node.name.as_str());
        let on =
            |node: Option<&str>, end: Option<&LabPod>| end.is_some_and(|lab| node == Some(lab.node.as_str()));
        let lost = |is_lost: bool| {
            Some(Made::Effect(
                (required == OPEN && is_lost).then_some(Effect::ReplyLost),
            ))
        };
        let dropped = |is_dropped: bool| {
            let effect = (required == OPEN && is_dropped).then_some(Effect::Overblock);
            Some(Made::Effect(effect))
        };
        match self {
            Self::JumpMissing => Some(
                required
                    .opened(on(first, attempt.from), on(first, attempt.to))
                    .into(),
            ),
            Self::OneNodeClosed | Self::MemoryFull => dropped(attempt.passes(last)),
            Self::EgressAcceptSkipsIngress => {
                let skips = attempt.same_node() && attempt.isolated(Way::Egress) && required.egress;
                Some(required.opened(false, skips).into())
            }
            Self::FallsToForeignDrop => dropped(Way::ALL.into_iter().any(|way| attempt.isolated(way))),
            Self::ForeignAcceptAbove => {
                let comes_from_first = on(first, attempt.from);
                let is_seen_to = comes_from_first && attempt.views().source.is_none();
                Some(required.opened(comes_from_first, is_seen_to).into())
            }
            Self::RepliesAsked => lost(!answer_permitted(attempt)?),
            Self::Untracked => lost(attempt.protocol == Protocol::Tcp && attempt.isolated(Way::Ingress)),
            Self::NodeIdentity => as_node(attempt, required).map(Made::Sides),
            // These need more than a fresh attempt.
            Self::HolePunch | Self::SourceSpoof | Self::EncapFromPod => Some(required.into()),
        }
    }
}

/// Whether the policies permit what goes back, by what each side sees of the other.
fn answer_permitted(attempt: &Attempt<'_>) -> Option<bool> {
    let snapshot = &attempt.world.snapshot;
    let views = attempt.views();
    let (from, to) = attempt.pods();
    let (source, target) = (party(from, attempt.from_address), party(to, attempt.to_address));
    let leaves = attempt.parties(snapshot, target, views.source.unwrap_or(source), SOURCE_PORT)?;
    let enters = attempt.parties(snapshot, views.destination.unwrap_or(target), source, SOURCE_PORT)?;
    Some(leaves.egress && enters.ingress)
}

/// Where the destination's side takes the source for its node.
fn as_node(attempt: &Attempt<'_>, required: Sides) -> Option<Sides> {
    if attempt.same_node() || attempt.from.is_none() {
        return Some(required);
    }
    let (from, to) = attempt.pods();
    let views = attempt.views();
    let source = views.source.or_else(|| attempt.own_node());
    attempt.seen(Views { source, ..views }, &attempt.world.snapshot, from, to)
}
