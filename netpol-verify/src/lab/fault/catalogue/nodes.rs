//! Class C: Services, NAT, nodes.

use super::super::{
    engine::EngineFault,
    entry::{Entry, Harm, How},
};

/// The faults of class C.
pub(in super::super) const NODES: &[Entry] = &[Entry {
    id: "nodeport-identity-world",
    harm: Harm::Overblock,
    how: How::Engine(EngineFault::NodeIdentity),
    line: "from another node pods arrive under their node's address and are taken for the world",
    source: "cilium/cilium#17144, weaveworks/weave#3642",
}];
