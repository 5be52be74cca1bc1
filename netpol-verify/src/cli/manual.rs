//! `completions` and `man`.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use clap::Command;
use clap_complete::Shell;

use super::{
    exit::{Exit, fail},
    stream::enough,
};

/// Prints a shell's completions.
pub(super) fn completions(shell: Shell, command: &mut Command) -> ExitCode {
    // Into memory first: the generator panics when its writer fails.
    let mut text = Vec::new();
    clap_complete::generate(shell, command, "netpol-verify", &mut text);
    ended(enough(io::stdout().write_all(&text)))
}

/// Writes the manual pages into a folder, or the main one to standard output.
pub(super) fn man(out: Option<&Path>, command: Command) -> ExitCode {
    let written = match out {
        None => clap_mangen::Man::new(command).render(&mut io::stdout()),
        Some(folder) => fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder)),
    };
    ended(enough(written))
}

fn ended(written: io::Result<()>) -> ExitCode {
    match written {
        Ok(()) => Exit::Good.into(),
        Err(error) => fail(Exit::Environment, &error),
    }
}
