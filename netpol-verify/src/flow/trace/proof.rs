//! What must hold before a packet that was not seen counts as one that was not there.

use super::Window;
use crate::{
    flow::{losses::LossLog, outcome::UnknownCause, watch::Watch},
    net::{KernelTime, NetnsCookie},
};

/// Why it is not proven that the destination pod did not get the attempt up to a moment.
pub(super) fn unproven(
    window: Window,
    until: KernelTime,
    watch: &Watch,
    losses: &LossLog,
) -> Option<UnknownCause> {
    if window.proven < until {
        return Some(UnknownCause::Pending);
    }
    if !watch.covers(window.source, window.started, until) {
        return Some(UnknownCause::SourceNotWatched);
    }
    match window.destination {
        Some(destination) if watch.covers(destination, window.started, until) => {
            blind(&[window.source, destination], window, until, watch, losses)
        }
        _ => Some(UnknownCause::DestinationNotWatched),
    }
}

/// Why one of the namespaces may have seen something that nobody was told.
pub(super) fn blind(
    netns: &[NetnsCookie],
    window: Window,
    until: KernelTime,
    watch: &Watch,
    losses: &LossLog,
) -> Option<UnknownCause> {
    let count = losses.lost(netns, window.started, until);
    if count > 0 {
        return Some(UnknownCause::RecordsLost {
            count,
            step: "between the kernel and the verifier",
        });
    }
    netns
        .iter()
        .any(|one| !watch.covers(*one, window.started, until))
        .then_some(UnknownCause::SourceNotWatched)
}
