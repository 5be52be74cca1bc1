//! `cargo xtask generate`: rewrites the files that code determines; a test fails while they differ.

use anyhow::Result;

use crate::command;

/// The JSON schema, the pinned outputs and the suites' table of contents, by the very tests that compare them.
pub(crate) fn run() -> Result<()> {
    command::run(command::cargo().env("NETPOL_VERIFY_GENERATE", "1").args([
        "test",
        "--package",
        "netpol-verify",
        "--lib",
        "--",
        "report::tests::",
        "report::certification::",
        "suite::cases::tests_coverage::",
        "oracle::",
        "lint::",
    ]))?;
    command::run(command::program("git").args(["status", "--short", "netpol-verify"]))
}
