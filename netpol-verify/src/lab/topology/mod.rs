//! The plan of a virtual cluster, and the cluster built from it.
//!
//! ```text
//!            npv-…-fabric   br0  10.99.0.254  fd00:99::fe
//!               n1 |               | n2
//!        npv-…-node1  eth0     npv-…-node2  eth0          10.99.0.N  fd00:99::N
//!           |      |              |     |
//!        eth0    eth0          eth0    eth0               10.244.N.x fd00:244:N::x
//!   npv-…-pod-a.b  …         npv-…-pod-a.c  …
//! ```

mod address;
mod build;
mod built;
mod cluster;
mod error;
mod plan;
mod ready;
#[cfg(test)]
pub(super) mod tests;

pub use address::NodeNumber;
pub(crate) use address::{FABRIC, OUTSIDE, pod_networks};
pub use built::{BuiltNode, BuiltPod, ClusterRecord, PodRecord};
pub use cluster::VirtualCluster;
pub use error::TopologyError;
pub use plan::{Overlay, PlacementError, Plan, Plugins, Wiring};
