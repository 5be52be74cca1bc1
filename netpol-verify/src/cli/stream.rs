//! Lines to standard output and standard error: a reader that closed its end has read enough.

use std::io::{self, Write as _};

/// Writes a text to standard output, ended by one line feed.
pub(super) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    enough(writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()))
}

/// Writes a line to standard error. There is nobody left to tell when that fails.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "netpol-verify: {text}");
}

/// A closed pipe is no failure.
pub(super) fn enough(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
