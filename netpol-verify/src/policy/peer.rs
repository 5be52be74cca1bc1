//! Who a rule lets through: classes of pods as a bit set, and address blocks.

use std::net::IpAddr;

use ipnet::IpNet;

/// A set of pod classes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClassSet {
    words: Vec<u64>,
}

impl ClassSet {
    pub(crate) fn insert(&mut self, class: u32) {
        let word = class as usize / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word |= 1 << (class % 64);
        }
    }

    pub(crate) fn contains(&self, class: u32) -> bool {
        self.words
            .get(class as usize / 64)
            .is_some_and(|word| word & (1 << (class % 64)) != 0)
    }
}

/// An `ipBlock`; its exceptions count within it only (R11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) net: IpNet,
    pub(crate) except: Vec<IpNet>,
}

impl Block {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.net.contains(&address) && !self.except.iter().any(|except| except.contains(&address))
    }
}

/// The peers of one rule, joined by OR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    /// `from` or `to` is missing or empty (R6).
    Any,
    /// At least one entry was written. An entry that is invalid adds nothing here.
    Listed {
        /// Pods by selectors.
        classes: ClassSet,
        /// Addresses, those of pods too (R12).
        blocks: Vec<Block>,
    },
}

/// By what an end was matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// By a selector, or because everybody is: as whatever it is.
    AsItself,
    /// By a block only: as an address, and addresses declare no port names (R17).
    AsAddress,
}

impl Peers {
    /// Whether the other end is let through, and as what; `class` is that of a pod.
    pub(crate) fn match_end(&self, class: Option<u32>, address: IpAddr) -> Option<Met> {
        match self {
            Self::Any => Some(Met::AsItself),
            Self::Listed { classes, blocks } => {
                if class.is_some_and(|class| classes.contains(class)) {
                    return Some(Met::AsItself);
                }
                blocks
                    .iter()
                    .any(|block| block.contains(address))
                    .then_some(Met::AsAddress)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ClassSet;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let mut set = ClassSet::default();
        for class in [0, 63, 64, 1000] {
            set.insert(class);
        }
        let held: Vec<u32> = (0..2000).filter(|class| set.contains(*class)).collect();
        assert_eq!(held, [0, 63, 64, 1000]);
    }
}
