//! `cargo xtask lint`: formatting, clippy, rustdoc and licences; a warning is an error.

use anyhow::Result;

use crate::{command, licences};

/// Runs them, the quickest first.
pub(crate) fn run() -> Result<()> {
    ensure_components()?;
    command::run(command::cargo().args(["fmt", "--all", "--check"]))?;
    licences::run()?;
    command::run(command::cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
    command::run(command::cargo().env("RUSTDOCFLAGS", "-D warnings").args([
        "doc",
        "--workspace",
        "--no-deps",
        "--locked",
        "--document-private-items",
    ]))
}

/// clippy and rustfmt by rustup, where rustup rules and they are missing.
fn ensure_components() -> Result<()> {
    for (tool, component) in [("cargo-clippy", "clippy"), ("cargo-fmt", "rustfmt")] {
        let works = command::program(tool)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success());
        if !works {
            println!("Installing the component {component}.");
            command::run(command::program("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}
