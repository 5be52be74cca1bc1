//! The command line: one file a command; this one only wires.

mod certify;
mod certify_cases;
mod certify_fuzz;
mod certify_lab;
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
mod runtime;
mod secrets;
mod sensor;
mod stream;
mod verifier;
mod watch;

use std::process::ExitCode;

use clap::CommandFactory as _;

use options::{Arguments, Command};

/// Parses the command line, runs the command, and gives its exit code.
#[must_use]
pub fn main() -> ExitCode {
    // Usage errors leave with 2, as clap does by itself.
    let arguments = options::parse();
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
