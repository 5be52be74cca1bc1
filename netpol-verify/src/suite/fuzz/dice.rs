//! Random choices that follow from a seed, the same on every machine and in every version.

use crate::random::SplitMix;

/// What is rolled next follows from the seed and what was rolled before.
#[derive(Clone, Debug)]
pub(super) struct Dice(SplitMix);

impl Dice {
    /// The dice of one cluster: which others are drawn, and how many, makes no difference to it.
    pub(super) fn new(seed: u64, cluster: u64) -> Self {
        let salt = SplitMix(seed).next();
        Self(SplitMix(salt ^ cluster.wrapping_mul(0x2545_f491_4f6c_dd1d)))
    }

    /// A number below `end`; 0 when there is none.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let rolled = usize::try_from(self.0.next() >> 33).unwrap_or(0);
        rolled.checked_rem(end).unwrap_or(0)
    }

    /// A number from `least` to `most`.
    pub(super) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// Whether something happens that happens so often in a hundred.
    pub(super) fn percent(&mut self, often: usize) -> bool {
        self.below(100) < often
    }

    /// One of several, of which there is at least the first.
    pub(super) fn pick<T: Copy>(&mut self, first: T, others: &[T]) -> T {
        let rolled = self.below(others.len() + 1);
        rolled
            .checked_sub(1)
            .and_then(|index| others.get(index))
            .copied()
            .unwrap_or(first)
    }

    /// Some of many, in their order, at most `most`.
    pub(super) fn some_of<T>(&mut self, mut all: Vec<T>, most: usize) -> Vec<T> {
        while all.len() > most {
            let gone = self.below(all.len());
            all.remove(gone);
        }
        all
    }
}
