//! Sets of small numbers as bits. Members beyond a set's end are absent, so that universes may grow.

/// A set of class, namespace or node numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    /// All numbers below `len`.
    pub(crate) fn full(len: u32) -> Self {
        let mut words = vec![u64::MAX; len as usize / 64];
        if !len.is_multiple_of(64) {
            words.push((1 << (len % 64)) - 1);
        }
        Self { words }
    }

    pub(crate) fn insert(&mut self, member: u32) {
        let word = member as usize / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word |= 1 << (member % 64);
        }
    }

    pub(crate) fn remove(&mut self, member: u32) {
        if let Some(word) = self.words.get_mut(member as usize / 64) {
            *word &= !(1 << (member % 64));
        }
    }

    pub(crate) fn set(&mut self, member: u32, is_in: bool) {
        if is_in {
            self.insert(member);
        } else {
            self.remove(member);
        }
    }

    pub(crate) fn contains(&self, member: u32) -> bool {
        self.words
            .get(member as usize / 64)
            .is_some_and(|word| word & (1 << (member % 64)) != 0)
    }

    pub(crate) fn union(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    pub(crate) fn intersect(&mut self, other: &Self) {
        self.words.truncate(other.words.len());
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    /// Adds what is in both.
    pub(crate) fn union_of_both(&mut self, one: &Self, other: &Self) {
        let len = one.words.len().min(other.words.len());
        if self.words.len() < len {
            self.words.resize(len, 0);
        }
        for ((word, one), other) in self.words.iter_mut().zip(&one.words).zip(&other.words) {
            *word |= one & other;
        }
    }

    /// The members, rising.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                (rest != 0).then(|| {
                    rest &= rest - 1;
                    at as u32 * 64 + bit
                })
            })
        })
    }
}

/// As many rows of bits as columns, in one piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Square {
    words: Vec<u64>,
    /// Words a row.
    stride: usize,
}

impl Square {
    pub(crate) fn new(rows: &[BitSet]) -> Self {
        let stride = rows.len().div_ceil(64);
        let mut words = vec![0; rows.len() * stride];
        for (line, row) in words.chunks_mut(stride.max(1)).zip(rows) {
            for (word, set) in line.iter_mut().zip(&row.words) {
                *word = *set;
            }
        }
        Self { words, stride }
    }

    pub(crate) fn contains(&self, row: u32, column: u32) -> bool {
        let word = column as usize / 64;
        word < self.stride
            && self
                .words
                .get(row as usize * self.stride + word)
                .is_some_and(|word| word & (1 << (column % 64)) != 0)
    }

    /// Rows become columns, 64 by 64 bits at a time.
    pub(crate) fn transposed(&self) -> Self {
        let mut words = vec![0; self.words.len()];
        let mut block = [0_u64; 64];
        let rows = self.words.len() / self.stride.max(1);
        for down in 0..self.stride {
            for across in 0..self.stride {
                let place = |line: usize, word: usize| line * self.stride + word;
                for (line, slot) in (down * 64..).zip(&mut block) {
                    *slot = if line < rows {
                        self.words.get(place(line, across)).copied().unwrap_or(0)
                    } else {
                        0
                    };
                }
                if block.iter().all(|line| *line == 0) {
                    continue;
                }
                transpose(&mut block);
                for (line, value) in (across * 64..rows).zip(&block) {
                    if let Some(word) = words.get_mut(place(line, down)) {
                        *word = *value;
                    }
                }
            }
        }
        Self {
            words,
            stride: self.stride,
        }
    }

    /// Keeps in each row what `other` has in the same row.
    pub(crate) fn intersect(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }
}

/// Transposes 64 by 64 bits in place: halves are swapped, then quarters, and so on down to single bits.
fn transpose(block: &mut [u64; 64]) {
    let (mut step, mut mask) = (32, 0x0000_0000_ffff_ffff_u64);
    while step != 0 {
        let mut at = 0;
        while at < 64 {
            let (low, high) = (block[at], block[at + step]);
            let swapped = ((low >> step) ^ high) & mask;
            block[at] = low ^ (swapped << step);
            block[at + step] = high ^ swapped;
            at = (at + step + 1) & !step;
        }
        step >>= 1;
        mask ^= mask << step;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BitSet, Square};

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let mut set = BitSet::default();
        for member in [0, 63, 64, 1000] {
            set.insert(member);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 1000]);
        assert!(set.contains(1000) && !set.contains(5000));
        set.remove(63);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 64, 1000]);
    }

    #[test]
    fn a_full_set_ends_where_it_should() {
        for len in [0, 1, 63, 64, 65, 128, 200] {
            assert_eq!(
                BitSet::full(len).iter().collect::<Vec<_>>(),
                (0..len).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn sets_of_different_lengths_meet() {
        let (mut small, mut large) = (BitSet::full(3), BitSet::default());
        large.insert(1);
        large.insert(100);
        let mut both = BitSet::default();
        both.union_of_both(&small, &large);
        assert_eq!(both.iter().collect::<Vec<_>>(), [1]);
        let mut cut = large.clone();
        cut.intersect(&small);
        assert_eq!(cut.iter().collect::<Vec<_>>(), [1]);
        large.subtract(&small);
        assert_eq!(large.iter().collect::<Vec<_>>(), [100]);
        small.union(&large);
        assert_eq!(small.iter().collect::<Vec<_>>(), [0, 1, 2, 100]);
    }

    proptest! {
        #[test]
        fn transposing_swaps_rows_and_columns(size in 1..200_u32, seed in prop::collection::vec((any::<u32>(), any::<u32>()), 0..300)) {
            let mut rows = vec![BitSet::default(); size as usize];
            for (row, column) in &seed {
                rows[(row % size) as usize].insert(column % size);
            }
            let square = Square::new(&rows);
            let turned = square.transposed();
            for row in 0..size {
                for column in 0..size {
                    prop_assert_eq!(square.contains(row, column), turned.contains(column, row));
                }
            }
        }
    }
}
