//! Identities that a packet cannot forge: where it was seen, never what it says of itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kernel's identity of a network namespace: `SO_NETNS_COOKIE`, never reused while the machine runs
/// (Linux 5.14, `net/core/net_namespace.c`), unlike the nsfs inode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NetnsCookie(pub u64);

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
