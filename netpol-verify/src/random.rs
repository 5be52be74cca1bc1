//! Numbers that tell this process's work from any other's.

use std::hash::{BuildHasher as _, RandomState};

/// A number that no other process draws. The keys of a `RandomState` are the system's random numbers; nothing secret hangs
/// on it.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}
