//! `cargo xtask test`: everything that CI runs, in the order that fails soonest.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::{
    apiserver, build_ebpf, chart, command, lint, nats, packages,
    skips::{self, Totals},
    toolchain,
};

/// Installs, lints, rebuilds and compares the eBPF object and the manifests, then runs unit tests and kernel tests.
pub(crate) fn run() -> Result<()> {
    let mut totals = Totals::default();
    step("what tests need", || {
        packages::ensure(&packages::LAB, "the lab")?;
        packages::ensure(&packages::TESTS, "the tests")?;
        toolchain::ensure()?;
        apiserver::ensure()?;
        nats::ensure().map(drop)
    })?;
    step("lint", lint::run)?;
    step("the eBPF object", || {
        build_ebpf::run(&build_ebpf::Options {
            check: true,
            ..Default::default()
        })
    })?;
    step("the chart", || chart::run(&chart::Options { check: true }))?;
    let units = step("unit tests", || {
        // `--no-fail-fast`: one failure must not hide the others' results.
        cargo_test(
            &["--workspace", "--exclude", "netpol-verify-tests"],
            &["--show-output"],
            &mut totals,
        )
    })?;
    let kernel = step("kernel tests", || {
        if !command::is_root() {
            totals.read("SKIPPED: kernel tests: not root");
            return Ok(true);
        }
        // The tests run the binary as a user does; cargo builds it only for its own crate's tests.
        command::run(command::cargo().args(["build", "--locked", "--package", "netpol-verify"]))?;
        cargo_test(
            &["--package", "netpol-verify-tests"],
            &["--show-output"],
            &mut totals,
        )
    })?;
    let expected = skips::expected();
    let unexpected = totals.unexpected(&expected);
    for line in &unexpected {
        println!("unexpected skip: {line}");
    }
    for line in &totals.reasons {
        println!("{line}");
    }
    println!("\n{}", totals.line());
    if !units || !kernel || totals.failed > 0 {
        bail!("tests failed");
    }
    if !unexpected.is_empty() {
        bail!(
            "{} tests were skipped that tests/expected-skips.txt does not name",
            unexpected.len()
        );
    }
    if totals.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// Runs `cargo test`; whether everything passed.
fn cargo_test(which: &[&str], libtest: &[&str], totals: &mut Totals) -> Result<bool> {
    let mut cargo = command::cargo();
    cargo.args(["test", "--locked", "--no-fail-fast"]).args(which);
    if !libtest.is_empty() {
        cargo.arg("--").args(libtest);
    }
    command::lines(&mut cargo, |line| totals.read(line))
}

/// Announces a step and says how long it took.
fn step<T>(name: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\n== {name}");
    let started = Instant::now();
    let done = run()?;
    println!("== {name}: {} s", started.elapsed().as_secs());
    Ok(done)
}
