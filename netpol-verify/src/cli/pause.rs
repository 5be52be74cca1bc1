//! `pause`: does nothing until it is told to end. The process of pods that only exist to be probed: one image serves all.

use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};

use super::exit::{Exit, fail};

/// Waits for a signal that ends it.
pub(super) fn main() -> ExitCode {
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGINT);
    ends.add(Signal::SIGTERM);
    // Blocked so that they can be waited for: the first process of a container is not ended by a signal it does not handle.
    if let Err(error) = ends.thread_block().and_then(|()| ends.wait()) {
        return fail(Exit::Environment, &error);
    }
    Exit::Good.into()
}
