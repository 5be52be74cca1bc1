//! `cargo xtask demo`: the main job on real packets, twice: a CNI that enforces nothing, then one that does.

use anyhow::{Context, Result, bail};

use crate::{command, packages};

/// Exit codes of `netpol-verify` as README has them.
const ENFORCED: i32 = 0;
const VIOLATION: i32 = 1;

/// Installs what is missing, builds, runs both, and holds them to what they must say.
pub(crate) fn run() -> Result<()> {
    if !command::is_root() {
        bail!("the demo makes network namespaces and attaches eBPF programs: run it as root");
    }
    println!("1. What the lab needs: nft for its enforcer, and the real CNI plugins for Flannel's wiring.");
    packages::ensure(&packages::LAB, "the lab")?;
    println!("\n2. Building netpol-verify (the eBPF object is committed: no BPF toolchain needed).");
    // Without optimisation: a cold release build takes minutes longer, and no verdict depends on speed.
    command::run(command::cargo().args(["build", "--locked", "--package", "netpol-verify"]))?;
    println!("\n3. Flannel: it wires pods and has no policy engine. Denied packets should arrive.\n");
    lab("flannel", VIOLATION)?;
    println!(
        "\n4. The same pods, policies and probes with a CNI that enforces. Nothing denied should arrive.\n"
    );
    lab("enforcing", ENFORCED)?;
    println!(
        "\nThe demo did what it must: the API accepted the same policies both times, and only packets told the two apart."
    );
    Ok(())
}

fn lab(cni: &str, expected: i32) -> Result<()> {
    let binary = command::target().join("debug/netpol-verify");
    let code = command::code(command::program(&binary).args(["lab", "run", "--cni", cni]))
        .with_context(|| format!("is {} there?", binary.display()))?;
    if code != expected {
        bail!("`netpol-verify lab run --cni {cni}` ended with {code}, expected {expected}");
    }
    Ok(())
}
