//! The command line: one file a command; this one only wires.

mod certify;
mod doctor;
pub mod exit;
mod explain;
mod input;
mod intent;
mod lab;
mod lint;
mod log;
mod manual;
mod matrix;
mod nats;
mod options;
mod pause;
mod secrets;
mod sensor;
mod stream;
mod verifier;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use options::{Arguments, Command};

/// Parses the command line, runs the command, and gives its exit code.
#[must_use]
pub fn main() -> ExitCode {
    // Usage errors leave with 2, as clap does by itself.
    let arguments = parse();
    log::start(arguments.verbose);
    match arguments.command {
        Command::Lab(command) => lab::main(command),
        Command::Explain(options) => explain::main(&options),
        Command::Lint(options) => lint::main(&options),
        Command::Matrix(arguments) => matrix::main(&arguments),
        Command::Doctor(options) => doctor::main(&options),
        Command::Certify(options) => certify::main(&options),
        Command::Sensor(options) => sensor::main(&options),
        Command::Verifier(options) => verifier::main(&options),
        Command::Watch(options) => watch::main(&options),
        Command::Secrets(options) => secrets::main(&options),
        Command::Pause => pause::main(),
        Command::Completions { shell } => manual::completions(shell, &mut Arguments::command()),
        Command::Man { out } => manual::man(out.as_deref(), Arguments::command()),
    }
}

/// The command line. As a plugin of kubectl, which runs `kubectl-netpol_verify`, usage speaks of `kubectl netpol-verify`.
fn parse() -> Arguments {
    let mut command = Arguments::command();
    let called = std::env::args_os().next().unwrap_or_default();
    let is_plugin = std::path::Path::new(&called)
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("kubectl-"));
    if is_plugin {
        command = command.bin_name("kubectl netpol-verify");
    }
    let matches = command.get_matches();
    Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}
