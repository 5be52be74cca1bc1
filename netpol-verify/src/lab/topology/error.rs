//! What can go wrong when a virtual cluster is built or changed.

use super::PlacementError;
use crate::{
    cluster::ObjectName,
    lab::{NetnsError, RuntimeDirError, wiring::WiringError},
};

/// A virtual cluster could not be built, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// The plan cannot be built.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// A namespace.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// A link, address or route.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// The notes.
    #[error(transparent)]
    RuntimeDir(#[from] RuntimeDirError),
    /// No pod of that name is in the lab.
    #[error("there is no pod {pod} in the lab; `netpol-verify lab verify` lists those that are")]
    NoSuchPod {
        /// The name asked for.
        pod: ObjectName,
    },
    /// A node's addresses are all in use.
    #[error("no address is left for pod {pod} on {node}: a node of the lab holds 253 pods; raise --nodes")]
    Full {
        /// The pod.
        pod: ObjectName,
        /// The node.
        node: String,
    },
    /// The kernel did not get a pod's interface ready.
    #[error("pod {pod} is not ready after {seconds} s: {what}; the machine may be overloaded, try again")]
    NotReady {
        /// The pod.
        pod: ObjectName,
        /// How long we waited.
        seconds: u64,
        /// What is missing.
        what: String,
    },
    /// This process has no name left for a cluster.
    #[error("no free name for a cluster of process {pid} in /run/netns; run `netpol-verify lab --clean`")]
    NoName {
        /// The process.
        pid: u32,
    },
}
