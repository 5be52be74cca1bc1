//! Class A: nothing, or the wrong thing, is programmed.

use super::super::{
    accepts::AcceptFault,
    engine::EngineFault,
    entry::{Entry, Harm, How},
    gates::GateFault,
    memory::MemoryFault,
    misread::{PodMisreading, PolicyMisreading},
};

/// The faults of class A.
pub(in super::super) const PROGRAMMING: &[Entry] = &[
    Entry {
        id: "no-engine",
        harm: Harm::Leak,
        how: How::Gates(GateFault::NoEngine),
        line: "policies are accepted and nothing enforces them",
        source: "k3s-io/k3s#445",
    },
    Entry {
        id: "engine-up-chains-empty",
        harm: Harm::Leak,
        how: How::Gates(GateFault::ChainsEmpty),
        line: "the engine runs and makes no rule for any policy",
        source: "cloudnativelabs/kube-router#1191",
    },
    Entry {
        id: "jump-missing",
        harm: Harm::Partial,
        how: How::Engine(EngineFault::JumpMissing),
        line: "on the first node the rules are there and nothing sends packets to them",
        source: "cloudnativelabs/kube-router#588",
    },
    Entry {
        id: "external-flush",
        harm: Harm::Timing,
        how: How::Memory(MemoryFault::FlushedByOthers),
        line: "somebody empties the chains of the first node after they were made",
        source: "rancher/rke2#774",
    },
    Entry {
        id: "set-full-kills-engine",
        harm: Harm::Leak,
        how: How::Gates(GateFault::SetFull),
        line: "more pods than a set holds end the engine of a node",
        source: "weaveworks/weave#3289",
    },
    Entry {
        id: "policymap-random-omission",
        harm: Harm::Partial,
        how: How::Accepts(AcceptFault::EntriesMissing),
        line: "a map is full, and which pairs are not in it is chance",
        source: "cilium/cilium#46189",
    },
    Entry {
        id: "unmanaged-pod",
        harm: Harm::Leak,
        how: How::Pods(PodMisreading::OneUnmanaged),
        line: "a pod as old as the engine is not known to it",
        source: "cilium/cilium#23394",
    },
    Entry {
        id: "standalone-pod-skipped",
        harm: Harm::Leak,
        how: How::Gates(GateFault::SharedByPrefix),
        line: "bare pods of one name prefix share the rules of the first",
        source: "aws/aws-network-policy-agent#327",
    },
    Entry {
        id: "identifier-collision",
        harm: Harm::Leak,
        how: How::Gates(GateFault::KeyCollision),
        line: "of two pods whose namespace and name make one word, the second is not filtered",
        source: "aws/aws-network-policy-agent#563",
    },
    Entry {
        id: "one-node-engine-dead",
        harm: Harm::Partial,
        how: How::Gates(GateFault::OneNodeDead),
        line: "the engine is dead on the last node",
        source: "Azure/AKS#1419",
    },
    Entry {
        id: "one-node-engine-closed",
        harm: Harm::Partial,
        how: How::Engine(EngineFault::OneNodeClosed),
        line: "the engine of the last node came back empty and drops everything",
        source: "antrea-io/antrea#274",
    },
    Entry {
        id: "same-node-only",
        harm: Harm::Partial,
        how: How::Gates(GateFault::SameNodeOnly),
        line: "policies hold between pods of one node and for nobody else",
        source: "projectcalico/calico#7658",
    },
    Entry {
        id: "cross-node-only",
        harm: Harm::Partial,
        how: How::Gates(GateFault::CrossNodeOnly),
        line: "policies hold between nodes, and within a node for nobody",
        source: "",
    },
    Entry {
        id: "last-policy-missing",
        harm: Harm::Leak,
        how: How::Policies(PolicyMisreading::LastOneMissing),
        line: "the last policy of each namespace was never installed",
        source: "",
    },
];
