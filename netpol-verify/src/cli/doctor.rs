//! `doctor`: what this machine or a cluster can do, and what each lack costs.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use caps::{CapSet, Capability};
use clap::Args;

use super::{
    exit::{Exit, fail},
    options::{Output, OutputOptions},
    runtime,
    stream::say,
};
use crate::{
    certify::{CertifyError, examine},
    cluster::{Access, LiveCluster},
    kernel::{KernelFacts, Symbols},
    report::{Checked, checked_json, checked_table},
    sensor::Attachment,
    suite::kernel_release,
};

/// What is looked at.
#[derive(Args, Clone, Debug)]
pub(super) struct DoctorOptions {
    /// A cluster instead of this machine: rights, nodes, Pod Security, sensors, NATS, clocks. Nothing is made in it.
    #[arg(long)]
    cluster: bool,
    /// The kubeconfig, as for kubectl.
    #[arg(long, value_name = "FILE", requires = "cluster")]
    kubeconfig: Option<PathBuf>,
    /// Its context.
    #[arg(long, value_name = "NAME", requires = "cluster")]
    context: Option<String>,
    #[command(flatten)]
    print: OutputOptions,
}

#[derive(Debug, thiserror::Error)]
enum DoctorError {
    #[error(transparent)]
    Certify(#[from] CertifyError),
    #[error("starting the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("writing what was found as JSON: {0}")]
    Json(#[source] serde_json::Error),
    #[error("writing to standard output: {0}")]
    Output(#[from] io::Error),
}

/// Looks, prints, and exits with 4 when something required is missing.
pub(super) fn main(options: &DoctorOptions) -> ExitCode {
    match run(options) {
        Ok(exit) => exit.into(),
        Err(error) => fail(Exit::Environment, &error),
    }
}

fn run(options: &DoctorOptions) -> Result<Exit, DoctorError> {
    let findings = if options.cluster {
        look_at_cluster(options)?
    } else {
        look()
    };
    let text = match options.print.output {
        Output::Json => checked_json(&findings).map_err(DoctorError::Json)?,
        Output::Table => checked_table(&findings),
    };
    say(&text)?;
    let is_able = !findings.iter().any(Checked::is_fatal);
    Ok(if is_able { Exit::Good } else { Exit::Environment })
}

fn look_at_cluster(options: &DoctorOptions) -> Result<Vec<Checked>, DoctorError> {
    let access = Access {
        kubeconfig: options.kubeconfig.clone(),
        context: options.context.clone(),
        request_timeout: None,
    };
    let work = async {
        let live = LiveCluster::find(&access).await.map_err(CertifyError::from)?;
        Ok(examine(&live).await?)
    };
    runtime::run(work, DoctorError::Runtime)
}

fn look() -> Vec<Checked> {
    let facts = KernelFacts::of_kernel();
    let mut findings = vec![Checked::new("kernel", true, false, &kernel_release(), "")];
    findings.push(Checked::new(
        "BTF",
        facts.offsets.is_some(),
        true,
        "the kernel's type information is readable",
        "without CONFIG_DEBUG_INFO_BTF (or before Linux 5.14) pods and drops cannot be told apart: every verdict is Inconclusive",
    ));
    findings.push(Checked::new(
        "drop reasons",
        facts.has_drop_reason,
        false,
        "kfree_skb tells why a packet was freed",
        "before Linux 5.17 a drop has no reason: a denied attempt is proven by silence, not by the drop",
    ));
    findings.push(Checked::new(
        "tcx",
        Attachment::of_kernel() == Attachment::Tcx,
        false,
        "programs attach first in line and die with the process",
        "before Linux 6.6 clsact is used: a CNI's program before ours may hide packets, and a killed sensor leaves its filters",
    ));
    findings.push(Checked::new(
        "kernel symbols",
        !Symbols::of_kernel().is_empty(),
        false,
        "drops are named by function",
        "kernel.kptr_restrict hides them: drops are named by reason only",
    ));
    findings.extend(capabilities());
    findings.extend(tools());
    findings
}

/// The capabilities that the lab cannot do without and this process does not hold.
pub(super) fn missing_capabilities() -> Vec<String> {
    capabilities()
        .into_iter()
        .filter(Checked::is_fatal)
        .map(|finding| finding.what)
        .collect()
}

fn capabilities() -> Vec<Checked> {
    let effective = caps::read(None, CapSet::Effective).unwrap_or_default();
    [
        (Capability::CAP_BPF, true, "eBPF maps and programs"),
        (Capability::CAP_NET_ADMIN, true, "classifiers on pods' interfaces"),
        (
            Capability::CAP_PERFMON,
            true,
            "kernel memory by BTF offsets, drops",
        ),
        (
            Capability::CAP_SYS_ADMIN,
            true,
            "entering pods' network namespaces",
        ),
        (
            Capability::CAP_SYS_PTRACE,
            false,
            "namespaces of processes without a name under /run/netns",
        ),
        (Capability::CAP_NET_RAW, true, "probes"),
    ]
    .into_iter()
    .map(|(capability, required, purpose)| {
        let lack = format!("not held, so not possible: {purpose}");
        Checked::new(
            &capability.to_string(),
            effective.contains(&capability),
            required,
            purpose,
            &lack,
        )
    })
    .collect()
}

fn tools() -> Vec<Checked> {
    let on_path = |tool: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .chain(["/usr/sbin".into(), "/sbin".into()])
            .any(|dir| dir.join(tool).is_file())
    };
    let plugins = ["/usr/lib/cni", "/opt/cni/bin"]
        .into_iter()
        .find(|dir| Path::new(dir).join("bridge").is_file() && Path::new(dir).join("host-local").is_file());
    vec![
        Checked::new(
            "nft",
            on_path("nft"),
            false,
            "the lab's own enforcer",
            "not found, so `lab --enforcer nftables` is not possible; install the package nftables",
        ),
        Checked::new(
            "CNI plugins",
            plugins.is_some(),
            false,
            &format!("bridge and host-local in {}", plugins.unwrap_or_default()),
            "not found, so the lab wires bridges by itself; install the package containernetworking-plugins",
        ),
    ]
}
