//! The command `netpol-verify`; the exit code is a contract (see `cli::exit`).

use std::process::ExitCode;

fn main() -> ExitCode {
    netpol_verify::cli::main()
}
