//! What an enforcer is shown of the virtual cluster: the objects, and where each pod is wired.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use super::topology::{NodeNumber, pod_networks};
use crate::cluster::{ObjectName, Pod, Snapshot};

/// The bridge of nodes that reach each other by VXLAN.
const TUNNELLED: &str = "cni0";

/// A node: a network namespace with its own forwarding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabNode {
    /// The node's name in the cluster.
    pub name: String,
    /// The file under `/run/netns`, so that `ip netns exec` finds it too.
    pub netns: PathBuf,
    /// The node's own addresses.
    pub addresses: Vec<IpAddr>,
    /// The bridge that joins the pods of this node; absent when the pods are routed.
    ///
    /// Bridged traffic between two pods of one node meets the rules only by way of `br_netfilter`.
    pub bridge: Option<String>,
}

impl LabNode {
    /// The addresses of the node's ends of tunnels to others. Flannel gives them the networks of the node's pods, and what a node
    /// masquerades leaves through them under these.
    pub(super) fn tunnel_ends(&self) -> Vec<IpAddr> {
        let number = NodeNumber::from_name(&self.name).filter(|_| self.bridge.as_deref() == Some(TUNNELLED));
        let nets = number.map(pod_networks).into_iter().flatten();
        nets.map(|net| net.network()).collect()
    }

    /// The name that `ip netns exec` takes.
    #[must_use]
    pub fn netns_name(&self) -> &str {
        netns_name(&self.netns)
    }
}

/// The name that `ip netns exec` takes for a file under `/run/netns`.
pub(super) fn netns_name(netns: &Path) -> &str {
    netns
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

/// A pod, and how it is wired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabPod {
    /// The pod, equal to the one in the snapshot.
    pub pod: Pod,
    /// The name of its node.
    pub node: String,
    /// The file under `/run/netns` of the pod's own network namespace.
    pub netns: PathBuf,
    /// The node's end of the pod's veth.
    pub host_interface: String,
}

/// The virtual cluster at one moment.
///
/// Policies, namespaces and the generation are those of the snapshot: there is one of each.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The nodes, in the order they were made.
    pub nodes: Vec<LabNode>,
    /// The pods that are wired.
    pub pods: Vec<LabPod>,
    /// The cluster's objects.
    pub snapshot: Snapshot,
}

impl World {
    /// The generation of the snapshot.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.snapshot.generation
    }

    /// The node of that name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&LabNode> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The wired pod of that name.
    #[must_use]
    pub fn pod(&self, name: &ObjectName) -> Option<&LabPod> {
        self.pods.iter().find(|lab| lab.pod.name == *name)
    }
}
