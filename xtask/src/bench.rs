//! `cargo xtask bench`: the figures, printed beside the machine they were taken on. Never a test: nothing here fails for
//! being slow.

use std::fs;

use anyhow::{Result, bail};

use crate::command;

/// The benchmark target of the crate `netpol-verify-tests`.
const TARGET: &str = "bench";

/// Prints the machine's facts and runs the benchmarks in release; `parts` chooses some of them.
pub(crate) fn run(parts: &[String]) -> Result<()> {
    if !command::is_root() && parts != ["oracle"] {
        bail!(
            "the benchmarks attach eBPF programs and make network namespaces: run this as root, or only `oracle`"
        );
    }
    facts();
    // Those of a cluster's parts start the product itself.
    command::run(command::cargo().args(["build", "--release", "--locked", "--package", "netpol-verify"]))?;
    command::run(
        command::cargo()
            .args([
                "bench",
                "--locked",
                "--package",
                "netpol-verify-tests",
                "--bench",
                TARGET,
                "--",
            ])
            .args(parts),
    )
}

fn facts() {
    let line = |file: &str| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
    let model = line("/proc/cpuinfo").lines().find_map(|one| {
        one.strip_prefix("model name")?
            .split_once(": ")
            .map(|(_, name)| name.to_owned())
    });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "machine: {cores} CPUs, {}",
        model.unwrap_or_else(|| "unknown model".to_owned())
    );
    println!("kernel:  {}", line("/proc/sys/kernel/osrelease"));
    println!("bpf jit: {} (1 is on)", line("/proc/sys/net/core/bpf_jit_enable"));
}
