//! A virtual cluster on one machine: nodes and pods are network namespaces; no Kubernetes takes part.
//!
//! - [`Netns`]: a named network namespace, and ways to run code, programs and netlink requests inside it.
//! - [`topology`]: the plan of a cluster, and the cluster built from it.
//! - [`wiring`]: how pods hang on their node and how nodes reach each other, as the CNIs of the field do it.
//! - [`dns`]: the name server that stands in for kube-dns.
//! - [`state`]: what `lab up` leaves on disk for the commands after it.
//! - [`residue`]: what a killed run left behind, found and removed.
//! - [`world`]: what an enforcer is shown of the virtual cluster.
//! - [`proxy`]: Services, translated on each node as kube-proxy does.
//! - [`literal`]: the second reading of the policies, sentence by sentence, which drives the correct enforcer.
//! - [`enforcer`]: `none`, `nftables`, or a program of the user's.
//! - [`fault`]: the known ways to be wrong, and which attempts each of them touches.

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod consistency;
pub mod dns;
pub mod enforcer;
pub mod fault;
pub mod literal;
mod naming;
mod netns;
pub mod proxy;
#[cfg(test)]
mod regressions;
pub mod residue;
mod run_record;
pub mod runtime_dir;
pub mod state;
pub mod topology;
#[cfg(test)]
mod unlawful;
pub mod wiring;
pub mod world;

pub use naming::{ClusterId, PREFIX};
pub use netns::{NETNS_DIR, Netns, NetnsError};
pub use run_record::{ProcessId, RunRecord};
pub use runtime_dir::{RuntimeDir, RuntimeDirError};
pub use world::{LabNode, LabPod, World};
