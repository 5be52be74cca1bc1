//! Which cases of which suites are played, and in what order.

use std::{fmt, path::Path, str::FromStr};

use super::{
    Scenario, ScenarioError,
    cases::{Case, Suite, SuiteError},
};
use crate::random::SplitMix;

/// Suites and scenarios by name, or folders.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    /// A suite.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// A scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// It is no name of ours, and no folder.
    #[error(
        "there is neither a suite nor a folder {name:?}; suites are {}, {} and {ALL}",
        Scenario::EMBEDDED.join(", "),
        Suite::EMBEDDED.join(", ")
    )]
    Unknown {
        /// The name.
        name: String,
    },
    /// Nothing is left to play.
    #[error(
        "no case of {suites} is meant by {filter}; a filter is a case, a feature or a suite: `CY-013`, `CY-1*`, `end-port`, `e2e`"
    )]
    Nothing {
        /// The suites.
        suites: String,
        /// The filters.
        filter: String,
    },
}

/// The word for every embedded suite.
const ALL: &str = "all";

/// The suites that names stand for.
///
/// # Errors
/// A suite is not there or has mistakes.
pub fn suites(name: &str) -> Result<Vec<Suite>, SuiteError> {
    match name {
        ALL => Suite::EMBEDDED.iter().map(|name| Suite::load(name)).collect(),
        name => Suite::load(name).map(|suite| vec![suite]),
    }
}

/// What is meant by the name of a suite.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// Cases, each of them in a world that is put back.
    Suites(Vec<Suite>),
    /// Stages of manifests.
    Scenario(Box<Scenario>),
}

impl Chosen {
    /// A suite of cases, `all` of them, a scenario, or a folder of either.
    ///
    /// # Errors
    /// It is not there, or something in it is wrong.
    pub fn load(name: &str) -> Result<Self, SelectionError> {
        let folder = Path::new(name);
        let is_ours = name == ALL || Suite::EMBEDDED.contains(&name);
        let is_known = is_ours || Scenario::EMBEDDED.contains(&name);
        if !is_known && !folder.exists() {
            return Err(SelectionError::Unknown {
                name: name.to_owned(),
            });
        }
        if is_ours || (!is_known && folder.join("suite.yaml").exists()) {
            Ok(Self::Suites(suites(name)?))
        } else {
            Ok(Self::Scenario(Box::new(Scenario::load(name)?)))
        }
    }
}

/// A part of the cases, so that several machines can share them: `2/5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    of: usize,
}

/// The text is no part of a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no shard; expected I/N with I from 1 to N, as 2/5")]
pub struct ParseShardError(pub String);

impl FromStr for Shard {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(index, of)| {
            let (index, of): (usize, usize) = (index.parse().ok()?, of.parse().ok()?);
            (index >= 1 && index <= of).then_some(Self { index, of })
        });
        parsed.ok_or_else(|| ParseShardError(text.to_owned()))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// Which cases are played.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Each a list of words with commas between them, all of which must be meant; a case that one list means is played.
    /// Without any, all are.
    pub filters: Vec<String>,
    /// Only a part of them.
    pub shard: Option<Shard>,
    /// Plays them in an order that follows from this number, instead of their own.
    pub seed: Option<u64>,
}

impl Selection {
    /// The cases that are played, in order: which suite, which case.
    ///
    /// # Errors
    /// There is none.
    pub fn of<'a>(&self, suites: &'a [Suite]) -> Result<Vec<(&'a Suite, &'a Case)>, SelectionError> {
        let all = suites
            .iter()
            .flat_map(|suite| suite.cases.iter().map(move |case| (suite, case)));
        let mut chosen: Vec<_> = all.filter(|(suite, case)| self.means(suite, case)).collect();
        if chosen.is_empty() {
            let names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
            return Err(SelectionError::Nothing {
                suites: names.join(", "),
                filter: self.filters.join(" or "),
            });
        }
        if let Some(Shard { index, of }) = self.shard {
            chosen = chosen.into_iter().skip(index - 1).step_by(of).collect();
        }
        if let Some(seed) = self.seed {
            shuffle(&mut chosen, seed);
        }
        Ok(chosen)
    }

    fn means(&self, suite: &Suite, case: &Case) -> bool {
        let is_meant = |word: &str| {
            let word = word.trim();
            suite.name == word
                || case.features.contains(word)
                || case.id.eq_ignore_ascii_case(word)
                || word.strip_suffix('*').is_some_and(|start| {
                    case.id
                        .to_ascii_lowercase()
                        .starts_with(&start.to_ascii_lowercase())
                })
        };
        self.filters.is_empty() || self.filters.iter().any(|list| list.split(',').all(is_meant))
    }
}

/// An order that is the same for the same number on every machine (Fisher-Yates).
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut roll = SplitMix(seed);
    for last in (1..items.len()).rev() {
        let other = usize::try_from(roll.next() % (last as u64 + 1)).unwrap_or(0);
        items.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::{Chosen, Selection, Shard, Suite, suites};

    fn ids(selection: &Selection) -> Vec<String> {
        // Reading them takes its time.
        static SUITES: std::sync::LazyLock<Vec<Suite>> = std::sync::LazyLock::new(|| suites("all").unwrap());
        let chosen = selection.of(&SUITES).unwrap();
        chosen.iter().map(|(_, case)| case.id.clone()).collect()
    }

    fn filtered(filters: &[&str]) -> Vec<String> {
        ids(&Selection {
            filters: filters.iter().map(|filter| (*filter).to_owned()).collect(),
            ..Selection::default()
        })
    }

    #[test]
    fn filters_are_joined_by_or_and_their_words_by_and() {
        assert_eq!(
            filtered(&["cy-013", "E2-0*,deny-all,egress"]).first().unwrap(),
            "CY-013"
        );
        assert!(
            filtered(&["cyclonus,end-port"])
                .iter()
                .all(|id| id.starts_with("CY-"))
        );
        assert_eq!(filtered(&["cyclonus,end-port"]).len(), 12);
        let nothing = Selection {
            filters: vec!["cyclonus,tier".to_owned()],
            ..Selection::default()
        };
        let error = nothing.of(&suites("cyclonus").unwrap()).unwrap_err();
        assert!(error.to_string().contains("cyclonus,tier"), "{error}");
    }

    #[test]
    fn shards_are_parts_of_the_whole_and_a_seed_only_changes_the_order() {
        let whole = ids(&Selection::default());
        let mut parts: Vec<String> = (1..=7)
            .flat_map(|index| {
                ids(&Selection {
                    shard: Some(format!("{index}/7").parse().unwrap()),
                    seed: Some(index),
                    ..Selection::default()
                })
            })
            .collect();
        assert_ne!(parts, whole);
        let mut sorted = whole;
        sorted.sort();
        parts.sort();
        assert_eq!(parts, sorted);
        for wrong in ["0/3", "4/3", "1", "a/b", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_a_suite_or_a_scenario() {
        assert!(matches!(Chosen::load("guide"), Ok(Chosen::Scenario(_))));
        assert!(matches!(Chosen::load("e2e"), Ok(Chosen::Suites(suites)) if suites.len() == 1));
        assert!(matches!(Chosen::load("all"), Ok(Chosen::Suites(suites)) if suites.len() > 2));
        let unknown = Chosen::load("cyclonos").unwrap_err().to_string();
        assert!(
            unknown.contains("\"cyclonos\"") && unknown.contains("cyclonus, e2e"),
            "{unknown}"
        );
    }
}
