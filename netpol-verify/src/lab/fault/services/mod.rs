//! Faults of what stands between a client and a pod: Services, ports of nodes, nodes themselves, and who is outside.

mod mutation;
mod prediction;

/// What is wrong with the way through Services and nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServiceFault {
    /// The node that translates a Service's address, or a port of its own, asks no gate about it.
    PathBypass,
    /// The node whose port it is asks no gate about it.
    NodePortUnasked,
    /// Through a Service to another node pods go under their node's address.
    SourceLost,
    /// Egress is asked about the pod and the port that was dialled.
    EgressByDialledPort,
    /// Egress is asked about the address and the port that were dialled.
    EgressByDialled,
    /// Ingress is asked about the port that was dialled.
    IngressByDialledPort,
    /// Whatever comes from a node is let through, and not only what comes from the pod's own.
    NodesLetIn,
    /// Whatever goes to a node is let through.
    NodesReached,
    /// Ingress is asked about pods only.
    OutsideLetIn,
    /// Egress is asked about pods only.
    OutsideReached,
}
