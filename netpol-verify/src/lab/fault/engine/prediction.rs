//! What each fault of the engine makes of an attempt, by the literal reading.

use super::{super::prediction::Made, EngineFault};
use crate::{
    lab::{
        LabPod,
        fault::{
            Effect,
            attempt::{Attempt, OPEN, Sides},
        },
        literal::{Party, Way},
    },
    net::{Family, Protocol},
};

/// A port of the kind that the lab sends from.
const SOURCE_PORT: u16 = 25_000;

impl EngineFault {
    /// What it makes of an attempt by fresh addresses and ports, unwrapped and from the pod's own address.
    pub(in super::super) fn made(self, attempt: &Attempt<'_>, required: Sides) -> Option<Made> {
        let nodes = &attempt.world.nodes;
        let first = nodes.first().map(|node| node.name.as_str());
        let last = nodes.last().map(|node| node.name.as_str());
        let on = |node: Option<&str>, lab: &LabPod| node == Some(lab.node.as_str());
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
            Self::OneNodeClosed | Self::MemoryFull => dropped(on(last, attempt.from) || on(last, attempt.to)),
            Self::EgressAcceptSkipsIngress => {
                let skips = attempt.same_node() && attempt.isolated(Way::Egress) && required.egress;
                Some(required.opened(false, skips).into())
            }
            Self::FallsToForeignDrop => dropped(Way::ALL.into_iter().any(|way| attempt.isolated(way))),
            Self::ForeignAcceptAbove => Some(required.unless(on(first, attempt.from)).into()),
            Self::RepliesAsked => {
                let back = Attempt {
                    from: attempt.to,
                    to: attempt.from,
                    from_address: attempt.to_address,
                    to_address: attempt.from_address,
                    port: SOURCE_PORT,
                    ..*attempt
                };
                lost(back.required()? != OPEN)
            }
            Self::Untracked => lost(attempt.protocol == Protocol::Tcp && attempt.isolated(Way::Ingress)),
            Self::NodeIdentity => as_node(attempt, required).map(Made::Sides),
            // These need more than a fresh attempt.
            Self::HolePunch | Self::SourceSpoof | Self::EncapFromPod => Some(required.into()),
        }
    }
}

/// Where the destination's side takes the source for its node.
fn as_node(attempt: &Attempt<'_>, required: Sides) -> Option<Sides> {
    if attempt.same_node() {
        return Some(required);
    }
    let node = attempt.world.node(&attempt.from.node)?;
    let address = node
        .addresses
        .iter()
        .copied()
        .find(|address| Family::of(*address) == attempt.family)?;
    let from = Party::Node {
        name: &node.name,
        address,
    };
    let to = Party::Pod {
        pod: &attempt.to.pod,
        address: Some(attempt.to_address),
    };
    let seen = attempt.parties(&attempt.world.snapshot, from, to, attempt.port)?;
    Some(Sides {
        ingress: seen.ingress,
        ..required
    })
}
