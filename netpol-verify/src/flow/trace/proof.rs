//! What must hold before a packet that was not seen counts as one that was not there.

use super::Window;
use crate::{
    flow::{node::Nodes, outcome::UnknownCause},
    net::{KernelTime, Netns},
};

/// Why it is not proven that the destination pod did not get the attempt up to a moment.
pub(super) fn unproven(window: Window, until: KernelTime, nodes: &Nodes) -> Option<UnknownCause> {
    let sensors = [Some(window.source), window.destination];
    if !sensors
        .into_iter()
        .flatten()
        .all(|netns| nodes.proves(netns.node, until))
    {
        return Some(UnknownCause::Pending);
    }
    if !nodes.covers(window.source, window.started, until) {
        return Some(UnknownCause::SourceNotWatched);
    }
    match window.destination {
        Some(destination) if nodes.covers(destination, window.started, until) => {
            blind(&[window.source, destination], window, until, nodes)
        }
        _ => Some(UnknownCause::DestinationNotWatched),
    }
}

/// Why one of the namespaces may have seen something that nobody was told.
pub(super) fn blind(
    netns: &[Netns],
    window: Window,
    until: KernelTime,
    nodes: &Nodes,
) -> Option<UnknownCause> {
    let count = nodes.lost(netns, window.started, until);
    if count > 0 {
        return Some(UnknownCause::RecordsLost {
            count,
            step: "between the kernel and the verifier",
        });
    }
    netns
        .iter()
        .any(|one| !nodes.covers(*one, window.started, until))
        .then_some(UnknownCause::SourceNotWatched)
}
