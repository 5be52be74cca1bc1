//! An index of labels: which members carry which, as far as any selector can tell them apart.
//!
//! Only keys and values that some selector names are kept. Labels that no selector asks for (`pod-template-hash`, a
//! StatefulSet's pod name) make no difference, so that thousands of pods stay a few classes.

use std::collections::{BTreeMap, HashMap};

use super::{
    bits::BitSet,
    selector::{Requirement, Selector},
};

/// A value that no selector names.
const OTHER: u32 = u32::MAX;

/// The index over one kind of member: classes of pods, namespaces, or nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelIndex {
    keys: HashMap<String, u32>,
    postings: Vec<Posting>,
    has_grown: bool,
}

/// The members that carry one key.
#[derive(Clone, Debug, Default)]
struct Posting {
    any: BitSet,
    values: HashMap<String, u32>,
    with_value: Vec<BitSet>,
}

/// A selector whose keys and values are numbers of an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Indexed(Vec<Wanted>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Wanted {
    In(u32, Vec<u32>),
    NotIn(u32, Vec<u32>),
    Exists(u32),
    Absent(u32),
}

/// What selectors can see of an object's labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Signature(Box<[(u32, u32)]>);

impl Indexed {
    /// Whether it selects every member.
    pub(crate) const fn is_everything(&self) -> bool {
        self.0.is_empty()
    }
}

impl LabelIndex {
    /// Takes a selector's keys and values into the index.
    pub(crate) fn intern(&mut self, selector: &Selector) -> Indexed {
        let wanted = selector
            .requirements()
            .iter()
            .map(|requirement| match requirement {
                Requirement::In(key, values) => {
                    let key = self.key(key);
                    Wanted::In(key, values.iter().map(|value| self.value(key, value)).collect())
                }
                Requirement::NotIn(key, values) => {
                    let key = self.key(key);
                    Wanted::NotIn(key, values.iter().map(|value| self.value(key, value)).collect())
                }
                Requirement::Exists(key) => Wanted::Exists(self.key(key)),
                Requirement::DoesNotExist(key) => Wanted::Absent(self.key(key)),
            });
        Indexed(wanted.collect())
    }

    /// Whether keys or values came since this was last asked: members that looked alike before may differ now.
    pub(crate) const fn take_growth(&mut self) -> bool {
        std::mem::replace(&mut self.has_grown, false)
    }

    fn key(&mut self, key: &str) -> u32 {
        if let Some(found) = self.keys.get(key) {
            return *found;
        }
        let next = self.postings.len() as u32;
        self.keys.insert(key.to_owned(), next);
        self.postings.push(Posting::default());
        self.has_grown = true;
        next
    }

    fn value(&mut self, key: u32, value: &str) -> u32 {
        let Some(posting) = self.postings.get_mut(key as usize) else {
            return OTHER;
        };
        if let Some(found) = posting.values.get(value) {
            return *found;
        }
        let next = posting.with_value.len() as u32;
        posting.values.insert(value.to_owned(), next);
        posting.with_value.push(BitSet::default());
        self.has_grown = true;
        next
    }

    /// Reduces labels to what selectors can see.
    pub(crate) fn signature(&self, labels: &BTreeMap<String, String>) -> Signature {
        let mut seen: Vec<(u32, u32)> = labels
            .iter()
            .filter_map(|(key, value)| {
                let key = *self.keys.get(key)?;
                let value = self.postings.get(key as usize)?.values.get(value);
                Some((key, value.copied().unwrap_or(OTHER)))
            })
            .collect();
        seen.sort_unstable();
        Signature(seen.into_boxed_slice())
    }

    /// Gives a member its labels, instead of those it may have had.
    pub(crate) fn put(&mut self, member: u32, signature: &Signature) {
        for (key, posting) in (0_u32..).zip(&mut self.postings) {
            let value = signature
                .0
                .binary_search_by_key(&key, |(key, _)| *key)
                .ok()
                .and_then(|at| signature.0.get(at))
                .map(|(_, value)| *value);
            posting.any.set(member, value.is_some());
            for (number, set) in (0_u32..).zip(&mut posting.with_value) {
                set.set(member, value == Some(number));
            }
        }
    }

    /// Whether a selector selects a member.
    pub(crate) fn selects(&self, selector: &Indexed, member: u32) -> bool {
        selector.0.iter().all(|wanted| match wanted {
            Wanted::In(key, values) => self.has_one_of(*key, values, member),
            Wanted::NotIn(key, values) => !self.has_one_of(*key, values, member),
            Wanted::Exists(key) => self.has(*key, member),
            Wanted::Absent(key) => !self.has(*key, member),
        })
    }

    fn has(&self, key: u32, member: u32) -> bool {
        self.postings
            .get(key as usize)
            .is_some_and(|posting| posting.any.contains(member))
    }

    fn has_one_of(&self, key: u32, values: &[u32], member: u32) -> bool {
        self.postings.get(key as usize).is_some_and(|posting| {
            values.iter().any(|value| {
                posting
                    .with_value
                    .get(*value as usize)
                    .is_some_and(|set| set.contains(member))
            })
        })
    }

    /// The members that a selector selects, out of `all`.
    pub(crate) fn select(&self, selector: &Indexed, mut all: BitSet) -> BitSet {
        for wanted in &selector.0 {
            match wanted {
                Wanted::In(key, values) => all.intersect(&self.with_one_of(*key, values)),
                Wanted::NotIn(key, values) => all.subtract(&self.with_one_of(*key, values)),
                Wanted::Exists(key) => match self.postings.get(*key as usize) {
                    Some(posting) => all.intersect(&posting.any),
                    None => all = BitSet::default(),
                },
                Wanted::Absent(key) => {
                    if let Some(posting) = self.postings.get(*key as usize) {
                        all.subtract(&posting.any);
                    }
                }
            }
        }
        all
    }

    fn with_one_of(&self, key: u32, values: &[u32]) -> BitSet {
        let mut found = BitSet::default();
        if let Some(posting) = self.postings.get(key as usize) {
            for value in values {
                if let Some(set) = posting.with_value.get(*value as usize) {
                    found.union(set);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::LabelIndex;
    use crate::policy::{
        bits::BitSet,
        selector::{Requirement, Selector},
    };

    fn labels() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
        prop::collection::btree_map("[abc]", "[xyz]", 0..3)
    }

    fn requirement() -> impl Strategy<Value = Requirement> {
        let operator = prop::sample::select(vec!["In", "NotIn", "Exists", "DoesNotExist"]);
        ("[abcd]", operator, prop::collection::vec("[xyzw]", 1..3)).prop_map(|(key, operator, values)| {
            let values = if operator.ends_with("In") {
                values
            } else {
                Vec::new()
            };
            Requirement::new(&key, operator, &values).unwrap()
        })
    }

    proptest! {
        #[test]
        fn the_index_selects_what_the_selector_matches(
            members in prop::collection::vec((labels(), labels()), 1..20),
            requirements in prop::collection::vec(requirement(), 0..3),
        ) {
            let selector = Selector::new(requirements);
            let mut index = LabelIndex::default();
            let indexed = index.intern(&selector);
            for (member, (before, now)) in (0..).zip(&members) {
                let old = index.signature(before);
                index.put(member, &old);
                let new = index.signature(now);
                index.put(member, &new);
            }
            let selected = index.select(&indexed, BitSet::full(members.len() as u32));
            for (member, (_, labels)) in (0..).zip(&members) {
                prop_assert_eq!(selector.matches(labels), selected.contains(member));
                prop_assert_eq!(selector.matches(labels), index.selects(&indexed, member));
            }
        }
    }

    #[test]
    fn labels_that_no_selector_names_make_no_difference() {
        let mut index = LabelIndex::default();
        index.intern(&Selector::new(vec![
            Requirement::new("app", "In", &["web".to_owned()]).unwrap(),
        ]));
        let of = |pairs: &[(&str, &str)]| {
            index.signature(
                &pairs
                    .iter()
                    .map(|(key, value)| (key.to_string(), value.to_string()))
                    .collect(),
            )
        };
        assert_eq!(
            of(&[("app", "a"), ("hash", "1")]),
            of(&[("app", "b"), ("hash", "2")])
        );
        assert_ne!(of(&[("app", "a")]), of(&[("app", "web")]));
        assert_ne!(of(&[("app", "a")]), of(&[]));
    }
}
