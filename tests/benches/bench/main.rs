//! What netpol-verify costs and how fast it answers, measured on this machine: `cargo xtask bench`.
//!
//! Figures, not tests: nothing here fails because a machine is slow. Words on the command line choose parts:
//! `classifiers`, `ring`, `guide`, `suites`, `latency`, `oracle`, and of a cluster's parts `sensor`, `bus`, `verifier`, `end-to-end`,
//! `false-alarms`; none means all.

mod bus;
mod classifiers;
mod end_to_end;
mod false_alarms;
mod guide;
mod latency;
mod oracle;
mod process;
mod ring;
mod sensor;
mod spread;
mod storm;
mod suites;
mod verifier;

use std::fs;

use anyhow::Result;
use netpol_verify_tests::as_root;

fn main() -> Result<()> {
    // Cargo itself adds `--bench`.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    machine();
    // Policies alone: no packet, no right.
    if wants("oracle") {
        oracle::run()?;
    }
    if wanted == ["oracle"] {
        return Ok(());
    }
    if !as_root() {
        return Ok(());
    }
    if wants("classifiers") {
        classifiers::run()?;
    }
    if wants("ring") {
        ring::run()?;
    }
    if wants("guide") {
        guide::run()?;
    }
    if wants("suites") {
        suites::run()?;
    }
    if wants("latency") {
        latency::run()?;
    }
    if wants("sensor") {
        sensor::run()?;
    }
    if wants("bus") {
        bus::run()?;
    }
    if wants("verifier") {
        verifier::run()?;
    }
    if wants("end-to-end") {
        end_to_end::run()?;
    }
    if wants("false-alarms") {
        false_alarms::run()?;
    }
    Ok(())
}

/// A figure without its machine says nothing.
fn machine() {
    let first_line = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        cpu.lines()
            .find_map(|line| line.strip_prefix(name)?.split_once(':'))
            .map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("machine");
    println!("  kernel      {}", first_line("/proc/sys/kernel/osrelease"));
    println!("  processor   {} ({} CPUs)", field("model name"), cpus);
    println!(
        "  BPF JIT     {}",
        first_line("/proc/sys/net/core/bpf_jit_enable")
    );
    println!("  load        {}", first_line("/proc/loadavg"));
    if cfg!(debug_assertions) {
        println!("  build       debug: ring and latency are slower than in a release build");
    }
}
