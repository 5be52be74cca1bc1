//! The parts of a built cluster, and the same as text for the commands after `lab up`.

use std::{net::IpAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::Wiring;
use crate::{
    cluster::ObjectName,
    lab::{ClusterId, Netns},
};

/// A node that is there.
#[derive(Clone, Debug)]
pub struct BuiltNode {
    /// `node1`.
    pub name: String,
    /// Its namespace.
    pub netns: Netns,
    /// Its addresses on the fabric, IPv4 first.
    pub addresses: Vec<IpAddr>,
}

/// A pod that is there.
#[derive(Clone, Debug)]
pub struct BuiltPod {
    /// Its name.
    pub name: ObjectName,
    /// The node it is on.
    pub node: String,
    /// Its namespace; the node's for a pod in the host's network.
    pub netns: Netns,
    /// The node's end of its link; empty for a pod in the host's network, which has none.
    pub host_interface: String,
    /// Its addresses, IPv4 first; the node's for a pod in the host's network.
    pub addresses: Vec<IpAddr>,
    /// Whether it is in the host's network.
    pub host_network: bool,
}

/// A pod as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodRecord {
    /// Its name.
    pub name: ObjectName,
    /// The node it is on.
    pub node: String,
    /// The name of its namespace.
    pub netns: String,
    /// The node's end of its link.
    pub host_interface: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it is in the host's network.
    pub host_network: bool,
}

/// A cluster as text: all that is needed to work with it from another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRecord {
    /// Whose it is; every namespace's name starts with it.
    pub id: ClusterId,
    /// Its wiring.
    pub wiring: Wiring,
    /// How many nodes.
    pub nodes: usize,
    /// The directory of the CNI plugins that wired it, when they did.
    #[serde(default)]
    pub plugins: Option<PathBuf>,
    /// Its pods.
    pub pods: Vec<PodRecord>,
}

impl From<&BuiltPod> for PodRecord {
    fn from(pod: &BuiltPod) -> Self {
        Self {
            name: pod.name.clone(),
            node: pod.node.clone(),
            netns: pod.netns.name().to_owned(),
            host_interface: pod.host_interface.clone(),
            addresses: pod.addresses.clone(),
            host_network: pod.host_network,
        }
    }
}
