//! A feature: the cases that exercise it, and what their attempts gave.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CaseCounts, CaseResult, Cell};

/// One feature of the API as the suites name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Feature {
    /// What it belongs to: `direction`, `port`, …
    pub group: String,
    /// Its name: `end-port`.
    pub name: String,
    /// The cases that exercise it.
    pub cases: CaseCounts,
    /// Their attempts, by protocol, family and path; what is not here was not exercised.
    pub cells: Vec<Cell>,
}

impl Feature {
    /// Every feature of the cases, by group and name.
    pub(super) fn all(cases: &[CaseResult]) -> Vec<Self> {
        let mut found: BTreeMap<(&str, &str), Vec<&CaseResult>> = BTreeMap::new();
        for case in cases {
            for (group, names) in &case.features {
                for name in names {
                    found.entry((group, name)).or_default().push(case);
                }
            }
        }
        let made = found.into_iter().map(|((group, name), cases)| Self {
            group: group.to_owned(),
            name: name.to_owned(),
            cases: CaseCounts::of(cases.iter().copied()),
            cells: Cell::sum(cases.iter().flat_map(|case| &case.cells)),
        });
        made.collect()
    }

    /// Whether every case that exercises it fails.
    #[must_use]
    pub const fn always_fails(&self) -> bool {
        self.cases.failed > 0 && self.cases.failed == self.cases.played
    }
}
