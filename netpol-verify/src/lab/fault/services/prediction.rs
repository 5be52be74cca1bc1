//! What each fault of Services and nodes makes of an attempt, by the literal reading.

use super::{super::prediction::Made, ServiceFault};
use crate::lab::{
    LabPod,
    fault::attempt::{Attempt, Sides, Through, Views},
    literal::Party,
};

impl ServiceFault {
    /// What it makes of an attempt.
    pub(in super::super) fn made(self, attempt: &Attempt<'_>, required: Sides) -> Option<Made> {
        let views = attempt.views();
        let sides = match self {
            Self::PathBypass => unasked_at_translator(attempt, required),
            Self::NodePortUnasked if is_node_port(attempt) => unasked_at_translator(attempt, required),
            Self::NodePortUnasked => required,
            Self::SourceLost if leaves_translated(attempt) => {
                let source = views.source.or_else(|| attempt.own_node());
                by(attempt, Views { source, ..views })?
            }
            Self::SourceLost => required,
            Self::EgressByDialledPort => by_dialled(attempt, attempt.from, required, |through| Views {
                egress_port: through.port,
                ..views
            })?,
            Self::EgressByDialled => by_dialled(attempt, attempt.from, required, |through| Views {
                destination: Some(Party::Outside(through.address)),
                egress_port: through.port,
                ..views
            })?,
            Self::IngressByDialledPort => by_dialled(attempt, attempt.to, required, |through| Views {
                ingress_port: through.port,
                ..views
            })?,
            Self::NodesLetIn => required.opened(false, views.source.is_some()),
            Self::NodesReached => required.opened(views.destination.is_some(), false),
            Self::OutsideLetIn => required.opened(false, attempt.from.is_none() || views.source.is_some()),
            Self::OutsideReached => {
                required.opened(attempt.to.is_none() || views.destination.is_some(), false)
            }
        };
        Some(Made::Sides(sides))
    }
}

fn by(attempt: &Attempt<'_>, views: Views<'_>) -> Option<Sides> {
    let (from, to) = attempt.pods();
    attempt.seen(views, &attempt.world.snapshot, from, to)
}

/// What the policies require by what is seen where the node of that end translates what was dialled.
fn by_dialled<'a>(
    attempt: &Attempt<'a>,
    end: Option<&LabPod>,
    required: Sides,
    seen: impl FnOnce(Through<'a>) -> Views<'a>,
) -> Option<Sides> {
    match attempt.through {
        Some(through) if is_translated_by(attempt, end) => by(attempt, seen(through)),
        _ => Some(required),
    }
}

/// Whether the node of that end translates what was dialled.
fn is_translated_by(attempt: &Attempt<'_>, end: Option<&LabPod>) -> bool {
    end.is_some_and(|lab| attempt.translator() == Some(lab.node.as_str()))
}

/// Sides whose gates stand on the node that translates are not asked.
fn unasked_at_translator(attempt: &Attempt<'_>, required: Sides) -> Sides {
    required.opened(
        is_translated_by(attempt, attempt.from),
        is_translated_by(attempt, attempt.to),
    )
}

fn is_node_port(attempt: &Attempt<'_>) -> bool {
    attempt.through.is_some_and(|through| through.node.is_some())
}

/// Whether the client's node translates it and sends it on to another.
fn leaves_translated(attempt: &Attempt<'_>) -> bool {
    is_translated_by(attempt, attempt.from) && !is_translated_by(attempt, attempt.to)
}
