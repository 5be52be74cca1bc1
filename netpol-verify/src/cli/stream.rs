//! Lines to standard output and standard error: a reader that closed its end has read enough.

use std::io::{self, IsTerminal as _, Write as _};

use crate::report::{Style, escape_to};

/// How standard output draws.
pub(super) fn stdout_style() -> Style {
    let columns = comfy_table::Table::new().width();
    let is_terminal = io::stdout().is_terminal();
    Style::for_stream(is_terminal, std::env::var_os("NO_COLOR").as_deref(), columns)
}

/// Writes a text to standard output, ended by one line feed.
pub(super) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    enough(writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()))
}

/// A message has an object, a cause and what to do next, each bounded where it arises.
const LONGEST: usize = 2000;

/// Writes one line to standard error, harmless for a terminal. There is nobody left to tell when that fails.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "netpol-verify: {}", escape_to(text, LONGEST));
}

/// A closed pipe is no failure.
pub(super) fn enough(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
