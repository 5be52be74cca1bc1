//! `cargo xtask fuzz-oracle`: the two readings of the policies, put to as many random clusters as there is time for.

use anyhow::{Result, bail};
use clap::Args;

use crate::command;

/// The property, by its place in `netpol-verify/src/lab/agreement.rs`.
const PROPERTY: &str = "lab::agreement::the_engine_and_the_literal_reading_agree";

/// Options of `fuzz-oracle`.
#[derive(Args)]
pub(crate) struct Options {
    /// How many random clusters, each with 64 questions
    #[arg(long, default_value_t = 100_000)]
    cases: u32,
    /// Begin where an earlier run began; a run says its seed
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs the property in release and says where to put what it finds.
pub(crate) fn run(options: &Options) -> Result<()> {
    let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed: {seed}");
    let mut tests_run = 0;
    let passed = command::lines(
        command::cargo()
            .env("NPV_ORACLE_CASES", options.cases.to_string())
            .env("PROPTEST_RNG_SEED", seed.to_string())
            .args([
                "test",
                "--locked",
                "--release",
                "--package",
                "netpol-verify",
                "--lib",
            ])
            .args(["--", "--exact", "--nocapture", PROPERTY]),
        |line| tests_run += usize::from(line == "running 1 test"),
    )?;
    if tests_run == 0 {
        bail!("{PROPERTY} was not found or did not compile: nothing was compared");
    }
    if !passed {
        bail!(
            "the two readings disagree: keep what is printed above as a file in netpol-verify/src/lab/regressions/, with the \
             answer that the specification gives, and mend the one that is wrong"
        );
    }
    Ok(())
}
