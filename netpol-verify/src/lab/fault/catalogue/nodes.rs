//! Class C: Services, NAT, nodes.

use super::super::{
    engine::EngineFault,
    entry::{Entry, Harm, How},
    services::ServiceFault,
};

/// The faults of class C.
pub(in super::super) const NODES: &[Entry] = &[
    Entry {
        id: "service-path-bypass",
        harm: Harm::Leak,
        how: How::Services(ServiceFault::PathBypass),
        line: "the node that translates a Service's address asks no policy about it",
        source: "weaveworks/weave#3285",
    },
    Entry {
        id: "service-source-lost",
        harm: Harm::Overblock,
        how: How::Services(ServiceFault::SourceLost),
        line: "through a Service to another node pods go under their node's address",
        source: "weaveworks/weave#3452",
    },
    Entry {
        id: "prednat-clusterip-port",
        harm: Harm::Partial,
        how: How::Services(ServiceFault::EgressByDialledPort),
        line: "egress is asked about the Service's port, not the pod's",
        source: "aws/amazon-network-policy-controller-k8s#210",
    },
    Entry {
        id: "prednat-clusterip-address",
        harm: Harm::Overblock,
        how: How::Services(ServiceFault::EgressByDialled),
        line: "egress is asked about the Service's address and port, which no selector means",
        source: "",
    },
    Entry {
        id: "prednat-ingress-port",
        harm: Harm::Partial,
        how: How::Services(ServiceFault::IngressByDialledPort),
        line: "ingress is asked about the port that was dialled on the pod's node, not the pod's",
        source: "",
    },
    Entry {
        id: "nodeport-unpoliced",
        harm: Harm::Leak,
        how: How::Services(ServiceFault::NodePortUnasked),
        line: "the node whose port is dialled asks no policy about it",
        source: "",
    },
    Entry {
        id: "node-ip-always-allowed",
        harm: Harm::Leak,
        how: How::Services(ServiceFault::NodesLetIn),
        line: "what comes from any node is let in, and not only from the pod's own",
        source: "antrea-io/antrea#280",
    },
    Entry {
        id: "node-ip-always-reached",
        harm: Harm::Leak,
        how: How::Services(ServiceFault::NodesReached),
        line: "what goes to any node is let out, also to a node's port",
        source: "",
    },
    Entry {
        id: "outside-not-filtered-in",
        harm: Harm::Leak,
        how: How::Services(ServiceFault::OutsideLetIn),
        line: "ingress is asked about pods only: who is outside, and nodes, get in",
        source: "",
    },
    Entry {
        id: "outside-not-filtered-out",
        harm: Harm::Leak,
        how: How::Services(ServiceFault::OutsideReached),
        line: "egress is asked about pods only: whoever is outside is reached",
        source: "",
    },
    Entry {
        id: "nodeport-identity-world",
        harm: Harm::Overblock,
        how: How::Engine(EngineFault::NodeIdentity),
        line: "from another node pods arrive under their node's address and are taken for the world",
        source: "cilium/cilium#17144, weaveworks/weave#3642",
    },
];
