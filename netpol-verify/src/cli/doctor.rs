//! `doctor`: what this machine can do, and what each lack costs.

use std::{fmt::Write as _, path::Path, process::ExitCode};

use caps::{CapSet, Capability};
use serde::Serialize;

use super::{
    exit::Exit,
    options::{Output, OutputOptions},
    stream::say,
};
use crate::{
    kernel::{KernelFacts, Symbols},
    sensor::Attachment,
    suite::kernel_release,
};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    what: String,
    ok: bool,
    /// Without it nothing works; otherwise something is lost.
    required: bool,
    detail: String,
}

/// Looks, prints, and exits with 4 when something required is missing.
pub(super) fn main(options: &OutputOptions) -> ExitCode {
    let findings = look();
    let text = match options.output {
        Output::Json => match serde_json::to_string_pretty(&findings) {
            Ok(text) => text,
            Err(error) => return super::exit::fail(Exit::Environment, &error),
        },
        Output::Table => {
            let mut text = String::new();
            for finding in &findings {
                let mark = match (finding.ok, finding.required) {
                    (true, _) => "ok",
                    (false, true) => "MISSING",
                    (false, false) => "lacking",
                };
                let _ = writeln!(
                    text,
                    "{mark:<9}{:<26}{}",
                    finding.what,
                    crate::report::escape(&finding.detail)
                );
            }
            text
        }
    };
    if let Err(error) = say(&text) {
        return super::exit::fail(Exit::Environment, &error);
    }
    let able = findings.iter().all(|finding| finding.ok || !finding.required);
    if able { Exit::Good } else { Exit::Environment }.into()
}

fn look() -> Vec<Finding> {
    let facts = KernelFacts::of_kernel();
    let mut findings = vec![finding("kernel", true, false, &kernel_release(), "")];
    findings.push(finding(
        "BTF",
        facts.offsets.is_some(),
        true,
        "the kernel's type information is readable",
        "without CONFIG_DEBUG_INFO_BTF (or before Linux 5.14) pods and drops cannot be told apart: every verdict is Inconclusive",
    ));
    findings.push(finding(
        "drop reasons",
        facts.has_drop_reason,
        false,
        "kfree_skb tells why a packet was freed",
        "before Linux 5.17 a drop has no reason: a denied attempt is proven by silence, not by the drop",
    ));
    findings.push(finding(
        "tcx",
        Attachment::of_kernel() == Attachment::Tcx,
        false,
        "programs attach first in line and die with the process",
        "before Linux 6.6 clsact is used: a CNI's program before ours may hide packets, and a killed sensor leaves its filters",
    ));
    findings.push(finding(
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
        .filter(|finding| finding.required && !finding.ok)
        .map(|finding| finding.what)
        .collect()
}

fn capabilities() -> Vec<Finding> {
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
        finding(
            &capability.to_string(),
            effective.contains(&capability),
            required,
            purpose,
            &lack,
        )
    })
    .collect()
}

fn tools() -> Vec<Finding> {
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
        finding(
            "nft",
            on_path("nft"),
            false,
            "the lab's own enforcer",
            "not found, so `lab --enforcer nftables` is not possible; install the package nftables",
        ),
        finding(
            "CNI plugins",
            plugins.is_some(),
            false,
            &format!("bridge and host-local in {}", plugins.unwrap_or_default()),
            "not found, so the lab wires bridges by itself; install the package containernetworking-plugins",
        ),
    ]
}

fn finding(what: &str, ok: bool, required: bool, good: &str, lack: &str) -> Finding {
    Finding {
        what: what.to_owned(),
        ok,
        required,
        detail: if ok { good } else { lack }.to_owned(),
    }
}
