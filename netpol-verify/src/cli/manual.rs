//! `completions` and `man`.

use std::{fs, io, path::Path, process::ExitCode};

use clap::Command;
use clap_complete::Shell;

use super::exit::{Exit, fail};

/// Prints a shell's completions.
pub(super) fn completions(shell: Shell, command: &mut Command) -> ExitCode {
    clap_complete::generate(shell, command, "netpol-verify", &mut io::stdout());
    Exit::Good.into()
}

/// Writes the manual pages into a folder, or the main one to standard output.
pub(super) fn man(out: Option<&Path>, command: Command) -> ExitCode {
    let written = match out {
        None => clap_mangen::Man::new(command).render(&mut io::stdout()),
        Some(folder) => fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder)),
    };
    match written {
        Ok(()) => Exit::Good.into(),
        // A reader that closed the pipe has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Good.into(),
        Err(error) => fail(Exit::Environment, &error),
    }
}
