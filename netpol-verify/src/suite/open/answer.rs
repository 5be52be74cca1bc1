//! Answers of several places to one question become a trait: counted, and with their places only where those differ.

use std::collections::BTreeMap;

use crate::{finding::Path, net::Family, report::Trait};

/// Where a question was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) family: Family,
    pub(super) path: Path,
}

/// What came of asking there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    /// What was done, and by what it is known.
    Told(String),
    /// Nothing can be said, and why.
    Untold(String),
}

impl Answer {
    /// It was asked, and the answer means nothing.
    pub(super) fn not_told(why: impl AsRef<str>) -> Self {
        Self::Untold(format!("not told: {}", why.as_ref()))
    }

    /// What passes under a policy that nobody enforces tells nothing.
    pub(super) fn not_enforced() -> Self {
        Self::not_told("new connections pass as well, so that nothing is denied")
    }

    /// It was not asked.
    pub(super) fn not_asked(why: impl AsRef<str>) -> Self {
        Self::Untold(format!("not asked: {}", why.as_ref()))
    }
}

/// A question that was asked nowhere.
pub(super) fn not_asked(question: &str, why: &str) -> Trait {
    Trait {
        question: question.to_owned(),
        answers: BTreeMap::new(),
        untold: [(format!("not asked: {why}"), 1)].into(),
    }
}

/// The trait that answers make; `nowhere` says why there may be none.
pub(super) fn gathered(question: &str, nowhere: &str, given: Vec<(Place, Answer)>) -> Trait {
    if given.is_empty() {
        return not_asked(question, nowhere);
    }
    let all: Vec<Place> = given.iter().map(|(place, _)| *place).collect();
    let mut groups: BTreeMap<Answer, Vec<Place>> = BTreeMap::new();
    for (place, answer) in given {
        groups.entry(answer).or_default().push(place);
    }
    let mixed = groups.len() > 1;
    let mut made = Trait {
        question: question.to_owned(),
        answers: BTreeMap::new(),
        untold: BTreeMap::new(),
    };
    for (answer, places) in groups {
        let (counts, mut text) = match answer {
            Answer::Told(text) => (&mut made.answers, text),
            Answer::Untold(text) => (&mut made.untold, text),
        };
        if mixed {
            text.push_str(&format!(" [{}]", words(&places, &all)));
        }
        counts.insert(text, places.len() as u64);
    }
    made
}

/// `IPv6` where all asked over IPv6 are meant, `cross node` likewise; else each by both.
fn words(places: &[Place], all: &[Place]) -> String {
    let is_all_of = |is_meant: &dyn Fn(&Place) -> bool| {
        places.iter().all(is_meant) && all.iter().filter(|place| is_meant(place)).count() == places.len()
    };
    for family in [Family::Ipv4, Family::Ipv6] {
        if is_all_of(&|place: &Place| place.family == family) {
            return family.to_string();
        }
    }
    for path in [Path::SameNode, Path::CrossNode] {
        if is_all_of(&|place: &Place| place.path == path) {
            return path.to_string();
        }
    }
    let each = places
        .iter()
        .map(|place| format!("{} {}", place.family, place.path));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Answer, Place, gathered};
    use crate::{
        finding::Path::{CrossNode, SameNode},
        net::Family::{Ipv4, Ipv6},
    };

    const PLACES: [Place; 4] = [
        Place {
            family: Ipv4,
            path: SameNode,
        },
        Place {
            family: Ipv4,
            path: CrossNode,
        },
        Place {
            family: Ipv6,
            path: SameNode,
        },
        Place {
            family: Ipv6,
            path: CrossNode,
        },
    ];

    fn words(answers: [Answer; 4]) -> String {
        gathered("echo", "", PLACES.into_iter().zip(answers).collect()).words()
    }

    #[test]
    fn places_are_named_only_where_their_answers_differ() {
        let passes = || Answer::Told("passes: echo reply".to_owned());
        let dropped = || Answer::Told("dropped: no answer".to_owned());
        let untold = || Answer::not_told("no answer without any policy");
        assert_eq!(
            words([passes(), passes(), passes(), passes()]),
            "echo: passes: echo reply (4)"
        );
        assert_eq!(
            words([dropped(), dropped(), passes(), passes()]),
            "echo: dropped: no answer [IPv4] (2), passes: echo reply [IPv6] (2)"
        );
        assert_eq!(
            words([dropped(), untold(), dropped(), untold()]),
            "echo: dropped: no answer [same node] (2), not told: no answer without any policy [cross node] (2)"
        );
        assert_eq!(
            words([dropped(), passes(), passes(), passes()]),
            "echo: passes: echo reply [IPv4 cross node, IPv6 same node, IPv6 cross node] (3), \
             dropped: no answer [IPv4 same node] (1)"
        );
    }

    #[test]
    fn a_question_without_a_place_is_not_asked_and_says_so() {
        let made = gathered("another node", "there is one node only", Vec::new());
        assert!(made.answers.is_empty());
        assert_eq!(
            made.words(),
            "another node: not asked: there is one node only (1)"
        );
    }
}
