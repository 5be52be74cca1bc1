//! Random choices that follow from a seed, the same on every machine and in every version.

/// What is rolled next follows from the seed and what was rolled before.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The dice of one cluster: which others are drawn, and how many, makes no difference to it.
    pub(super) fn new(seed: u64, cluster: u64) -> Self {
        let mut dice = Self(seed);
        let salt = dice.next();
        Self(salt ^ cluster.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    /// The next 64 bits: a counter by the golden ratio, mixed (Steele, Lea and Flood's SplitMix).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when there is none.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let rolled = usize::try_from(self.next() >> 33).unwrap_or(0);
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
