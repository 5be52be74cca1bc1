//! Faults of gates: missing ones, ones before others than they should be, ones that look at others than they should.

mod mutation;
mod prediction;

/// What is wrong with the gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GateFault {
    /// No rules anywhere.
    NoEngine,
    /// The engine is there and has no gate.
    ChainsEmpty,
    /// No egress gates.
    EgressUnsupported,
    /// No ingress gates.
    IngressUnsupported,
    /// Gates look only at pods of their own node.
    SameNodeOnly,
    /// Gates look only at pods of other nodes.
    CrossNodeOnly,
    /// No rules on the last node.
    OneNodeDead,
    /// No rules on a node one of whose gates lists more pods than a set of the kernel may hold.
    SetFull,
    /// Pods of one name prefix share the gates of the first.
    SharedByPrefix,
    /// Of two pods whose joined names are alike, the second has no gates.
    KeyCollision,
    /// A pod that carries a reserved label has no gates.
    ForgedNamespace,
    /// A policy without rules outweighs those that allow.
    DenyBeatsAllow,
    /// A denied SYN passes at its retransmission.
    RetransmittedSynAccepted,
    /// IPv6 is not filtered.
    Ipv6Open,
    /// IPv4 is not filtered.
    Ipv4Open,
    /// The flow has no entry, so the reply is dropped.
    StartupReplyLost,
    /// Bridged packets do not meet the rules.
    BridgeNfOff,
    /// Bridged packets of IPv4 do not.
    BridgeNfOffIpv4,
    /// Bridged packets of IPv6 do not.
    BridgeNfOffIpv6,
}

/// More pods than this fill a set (ipset's lists have 8 entries unless told otherwise).
const SET_SIZE: usize = 8;

/// The label by which Cilium knew a pod's namespace (CVE-2023-39347).
const RESERVED_LABEL: &str = "io.kubernetes.pod.namespace";

/// What a bare pod's workload is taken for: its name up to the last dash.
fn prefix(name: &str) -> Option<&str> {
    name.rsplit_once('-').map(|(prefix, _)| prefix)
}
