//! What nodes say of themselves in the API: kernels and container runtimes, and what each lack costs.

use std::collections::BTreeMap;

use kube::{ResourceExt as _, api::DynamicObject};
use serde_json::Value;

use crate::report::Checked;

/// How many names a line lists.
const LISTED: usize = 10;

/// From which kernel on something is there, whether nothing works without it, and what its lack costs.
const STEPS: [((u32, u32), bool, &str); 5] = [
    (
        (5, 10),
        true,
        "before 5.10 the sensor's programs are not loaded: nothing is seen of its pods",
    ),
    (
        (5, 14),
        true,
        "before 5.14 pods and drops cannot be told apart: every verdict is Inconclusive",
    ),
    (
        (5, 17),
        false,
        "before 5.17 a drop has no reason: a denied attempt is proven by silence, not by the drop",
    ),
    (
        (6, 2),
        false,
        "before 6.2 kernel memory is read by bpf_probe_read_kernel, which lockdown=confidentiality forbids",
    ),
    (
        (6, 6),
        false,
        "before 6.6 clsact is used: a CNI's program before ours may hide packets, and a killed sensor leaves its filters",
    ),
];

/// Container runtimes whose cgroups are known, so that a process is known to be a pod's.
const RUNTIMES: [&str; 3] = ["containerd", "cri-o", "docker"];

/// A line for each kernel and each runtime that is in use.
pub(super) fn machines(nodes: &[DynamicObject]) -> Vec<Checked> {
    let mut kernels = BTreeMap::<String, Vec<String>>::new();
    let mut runtimes = BTreeMap::<String, Vec<String>>::new();
    for node in nodes {
        let said = |field: &str| {
            let value = node.data.pointer(&format!("/status/nodeInfo/{field}"));
            let text = value.and_then(Value::as_str).filter(|text| !text.is_empty());
            text.unwrap_or("unknown").to_owned()
        };
        let name = node.name_any();
        kernels
            .entry(said("kernelVersion"))
            .or_default()
            .push(name.clone());
        runtimes
            .entry(said("containerRuntimeVersion"))
            .or_default()
            .push(name);
    }
    let kernels = kernels.iter().map(|(release, names)| kernel(release, names));
    let runtimes = runtimes.iter().map(|(version, names)| runtime(version, names));
    kernels.chain(runtimes).collect()
}

fn kernel(release: &str, names: &[String]) -> Checked {
    let place = format!("{release} on {}", listed(names));
    let Some(version) = version(release) else {
        return Checked::untold("kernel", true, &format!("{place}: no version is in that"));
    };
    let lacks: Vec<_> = STEPS.iter().filter(|(from, ..)| version < *from).collect();
    let required = lacks.iter().any(|(_, required, _)| *required);
    let costs: Vec<&str> = lacks.iter().map(|(.., cost)| *cost).collect();
    Checked::new(
        "kernel",
        lacks.is_empty(),
        required,
        &format!("{place}: all that is used is there"),
        &format!(
            "{place}: {} (by its number; distributions bring much back, and a sensor there says what it finds)",
            costs.join("; ")
        ),
    )
}

fn runtime(version: &str, names: &[String]) -> Checked {
    let place = format!("{version} on {}", listed(names));
    let make = version.split(':').next().unwrap_or_default();
    Checked::new(
        "container runtime",
        RUNTIMES.contains(&make),
        false,
        &place,
        &format!(
            "{place}: not tried with this one: should its cgroups have another shape, pods are known by their addresses only"
        ),
    )
}

/// The first two numbers of a release: `5.15.0-91-generic` is 5.15.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Names, and how many more.
pub(super) fn listed(names: &[String]) -> String {
    let mut text = names
        .iter()
        .take(LISTED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => {}
        more => text.push_str(&format!(" and {more} more")),
    }
    text
}

#[cfg(test)]
mod tests {
    use kube::api::DynamicObject;
    use serde_json::json;

    use super::{machines, version};

    fn node(name: &str, kernel: &str, runtime: &str) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "status": {"nodeInfo": {"kernelVersion": kernel, "containerRuntimeVersion": runtime}},
        }))
        .unwrap()
    }

    #[test]
    fn every_usual_release_has_a_version() {
        for (release, expected) in [
            ("6.18.44", (6, 18)),
            ("5.15.0-91-generic", (5, 15)),
            ("6.1.0-18-cloud-amd64", (6, 1)),
            ("5.14.0-427.13.1.el9_4.x86_64", (5, 14)),
            ("6.8-rc1+", (6, 8)),
            ("5.10.215-203.850.amzn2.aarch64", (5, 10)),
        ] {
            assert_eq!(version(release), Some(expected), "{release}");
        }
        for release in ["", "six", "6", "6.", "-1.2"] {
            assert_eq!(version(release), None, "{release}");
        }
    }

    #[test]
    fn each_kernel_says_what_its_age_costs_and_only_the_oldest_are_of_no_use() {
        for (release, costs, fatal) in [
            ("6.6.0", 0, false),
            ("6.5.9", 1, false),
            ("6.2.0", 1, false),
            ("6.1.0", 2, false),
            ("5.17.0", 2, false),
            ("5.15.0", 3, false),
            ("5.14.0", 3, false),
            ("5.10.0", 4, true),
            ("5.4.0", 5, true),
        ] {
            let found = machines(&[node("n", release, "containerd://2.0.0")]);
            let kernel = found.first().unwrap();
            let said = ["before 5.", "before 6."].map(|words| kernel.detail.matches(words).count());
            assert_eq!(said.iter().sum::<usize>(), costs, "{kernel:?}");
            assert_eq!(
                (kernel.ok, kernel.is_fatal()),
                (Some(costs == 0), fatal),
                "{kernel:?}"
            );
        }
    }

    #[test]
    fn nodes_that_are_alike_share_a_line_and_the_unknown_is_no_lack() {
        let nodes = [
            node("a", "6.8.0", "containerd://2.0.0"),
            node("b", "6.8.0", "containerd://2.0.0"),
            node("c", "", "moby://1"),
        ];
        let found = machines(&nodes);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found.iter().any(|one| one.detail.starts_with("6.8.0 on a, b: ")));
        assert!(found.iter().any(|one| one.what == "kernel" && one.ok.is_none()));
        assert!(
            found
                .iter()
                .any(|one| one.detail.contains("moby://1 on c") && one.ok == Some(false))
        );
    }
}
