//! The nodes that can take pods, and which CNI the cluster seems to have.

use kube::{ResourceExt as _, api::DynamicObject};
use serde_json::Value;

use super::{
    api::{Cluster, DAEMON_SET, NODE},
    error::CertifyError,
};

/// A node that takes pods.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) name: String,
    /// Its label `kubernetes.io/hostname`, which need not be its name.
    pub(super) hostname: String,
}

/// Nodes that are ready and take pods without tolerations, by name.
pub(super) async fn usable(cluster: &Cluster) -> Result<Vec<Home>, CertifyError> {
    let nodes = cluster.list(NODE, None, "").await?;
    let mut homes: Vec<Home> = nodes
        .iter()
        .filter(|node| is_usable(node))
        .map(|node| Home {
            name: node.name_any(),
            hostname: node
                .labels()
                .get("kubernetes.io/hostname")
                .cloned()
                .unwrap_or_else(|| node.name_any()),
        })
        .collect();
    homes.sort_by(|a, b| a.name.cmp(&b.name));
    if homes.is_empty() {
        return Err(CertifyError::NoNode);
    }
    Ok(homes)
}

pub(super) fn is_usable(node: &DynamicObject) -> bool {
    let list = |at: &str| {
        node.data
            .pointer(at)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    let is_ready = list("/status/conditions").iter().any(|condition| {
        text(condition, "type").as_deref() == Some("Ready")
            && text(condition, "status").as_deref() == Some("True")
    });
    let keeps_out = list("/spec/taints")
        .iter()
        .any(|taint| matches!(text(taint, "effect").as_deref(), Some("NoSchedule" | "NoExecute")));
    let is_cordoned = node.data.pointer("/spec/unschedulable").and_then(Value::as_bool) == Some(true);
    is_ready && !keeps_out && !is_cordoned
}

/// DaemonSets by which CNIs are known, as their own manifests name them.
const KNOWN: [(&str, &str); 13] = [
    ("calico-node", "Calico"),
    ("canal", "Canal"),
    ("cilium", "Cilium"),
    ("kube-flannel-ds", "Flannel"),
    ("kube-flannel", "Flannel"),
    ("weave-net", "Weave Net"),
    ("antrea-agent", "Antrea"),
    ("aws-node", "Amazon VPC CNI"),
    ("azure-cns", "Azure CNI"),
    ("kindnet", "kindnet"),
    ("kube-router", "kube-router"),
    ("ovnkube-node", "OVN-Kubernetes"),
    ("netd", "GKE"),
];

/// Whether a DaemonSet of this name is a CNI's.
pub(super) fn is_of_cni(name: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == name)
}

/// The CNI by its DaemonSet; nothing is known of one that runs otherwise.
pub(super) async fn cni(cluster: &Cluster) -> Result<Option<String>, CertifyError> {
    let sets = cluster.list(DAEMON_SET, None, "").await?;
    let mut found: Vec<&str> = KNOWN
        .iter()
        .filter(|(name, _)| sets.iter().any(|set| set.name_any() == *name))
        .map(|(_, cni)| *cni)
        .collect();
    found.dedup();
    Ok((!found.is_empty()).then(|| found.join(" and ")))
}
