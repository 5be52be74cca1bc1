//! How pods hang on their node and how nodes reach each other, as the CNIs of the field do it.
//!
//! - `link`, `sysctl`: requests and settings inside one namespace.
//! - `fabric`: the network between the nodes.
//! - `bridge`: a bridge per node, by ourselves; `plugin`: the same by the real CNI plugins.
//! - `overlay`: from one node's bridge to another's, by VXLAN or by routes.
//! - `routed`: no bridge; a route per pod.

pub(crate) mod bridge;
mod error;
pub(crate) mod fabric;
pub(crate) mod link;
pub(crate) mod outside;
pub(crate) mod overlay;
pub(crate) mod plugin;
pub(crate) mod routed;
pub(crate) mod sysctl;

use std::net::IpAddr;

pub use error::WiringError;

/// What a wiring gave a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wired {
    /// The node's end of the pod's link.
    pub(crate) host_interface: String,
    /// The pod's addresses.
    pub(crate) addresses: Vec<IpAddr>,
}

/// The name of the bridge and the MTU of the pods behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BridgeKind {
    /// `cni0` or `cbr0`.
    pub(crate) name: &'static str,
    /// Room for the overlay's headers is left out.
    pub(crate) mtu: u32,
}

impl BridgeKind {
    /// Flannel's: 1,500 less the 70 bytes of VXLAN over IPv6.
    pub(crate) const FLANNEL: Self = Self {
        name: "cni0",
        mtu: 1430,
    };
    /// Kubenet's.
    pub(crate) const KUBENET: Self = Self {
        name: "cbr0",
        mtu: 1500,
    };
}
