//! Identities that a packet cannot forge: where it was seen, never what it says of itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kernel's identity of a network namespace: `SO_NETNS_COOKIE`, never reused while the machine runs
/// (Linux 5.14, `net/core/net_namespace.c`), unlike the nsfs inode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NetnsCookie(pub u64);

/// A node by the order in which it was first heard of; it means something to one tracker only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// A network namespace of a cluster: a cookie is unique on its node and nowhere else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Netns {
    /// The node.
    pub node: NodeId,
    /// The namespace on it.
    pub cookie: NetnsCookie,
}

impl Netns {
    /// Whether the kernel could not tell: a packet that was on no device yet.
    #[must_use]
    pub const fn is_unknown(self) -> bool {
        self.cookie.0 == 0
    }
}

/// An interface number; it means something only together with its network namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ifindex(pub u32);

impl fmt::Display for NetnsCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "netns:{}", self.0)
    }
}

impl fmt::Display for Ifindex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "if{}", self.0)
    }
}
