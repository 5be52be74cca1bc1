//! Numbers that tell this process's work from any other's.

use std::hash::{BuildHasher as _, RandomState};

/// Numbers that follow from a seed, the same on every machine and in every version: a counter by the golden ratio, mixed (Steele,
/// Lea and Flood's SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    /// The next 64 bits.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// A number that no other process draws. The keys of a `RandomState` are the system's random numbers; nothing secret hangs
/// on it.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}
