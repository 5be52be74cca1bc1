//! How long changes of policies, labels and pods took until packets showed them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which way a path had to turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Edge {
    /// It was open and must be closed.
    AllowToDeny,
    /// It was closed and must be open.
    DenyToAllow,
}

/// One change, and how the paths that it turned followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settled {
    /// At which step of the case, from 1.
    pub step: usize,
    /// Which way.
    pub edge: Edge,
    /// How many paths had to turn.
    pub paths: u64,
    /// How many of them had not turned when the budget was spent.
    pub never: u64,
    /// From the change to the first round of probes in which the slowest of the others was right and stayed so, in
    /// microseconds.
    pub slowest_micros: Option<u64>,
    /// From the change to the last round in which any was still wrong, in microseconds; none where none was seen wrong.
    pub last_wrong_micros: Option<u64>,
}

/// A few points of a distribution, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// Half were no slower.
    pub p50: u64,
    /// Nine of ten were no slower.
    pub p90: u64,
    /// 99 of 100 were no slower.
    pub p99: u64,
    /// The slowest.
    pub max: u64,
}

/// All changes of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settling {
    /// Until what had to be closed was closed.
    pub allow_to_deny: Option<Percentiles>,
    /// Until what had to be open was open.
    pub deny_to_allow: Option<Percentiles>,
    /// Changes after which some path did not turn within the budget.
    pub unsettled: u64,
}

impl Percentiles {
    /// Of the measured times; none where there are none.
    #[must_use]
    pub fn of(mut micros: Vec<u64>) -> Option<Self> {
        micros.sort_unstable();
        let max = *micros.last()?;
        let at = |hundredths: usize| {
            let index = (micros.len() * hundredths).div_ceil(100).saturating_sub(1);
            micros.get(index).copied().unwrap_or(max)
        };
        Some(Self {
            count: micros.len() as u64,
            p50: at(50),
            p90: at(90),
            p99: at(99),
            max,
        })
    }
}

impl Settling {
    pub(super) fn of<'a>(all: impl Iterator<Item = &'a Settled>) -> Self {
        let (mut deny, mut allow, mut unsettled) = (Vec::new(), Vec::new(), 0);
        for one in all {
            unsettled += u64::from(one.never > 0);
            if let Some(micros) = one.slowest_micros {
                match one.edge {
                    Edge::AllowToDeny => deny.push(micros),
                    Edge::DenyToAllow => allow.push(micros),
                }
            }
        }
        Self {
            allow_to_deny: Percentiles::of(deny),
            deny_to_allow: Percentiles::of(allow),
            unsettled,
        }
    }
}

impl Percentiles {
    /// `median 4 ms, 90 of 100 within 9 ms, slowest 12 ms, of 31`.
    #[must_use]
    pub fn words(&self) -> String {
        let [median, most, slowest] = [self.p50, self.p90, self.max].map(milliseconds);
        let count = self.count;
        format!("median {median}, 90 of 100 within {most}, slowest {slowest}, of {count}")
    }
}

fn milliseconds(micros: u64) -> String {
    if micros < 10_000 {
        format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
    } else {
        format!("{} ms", micros / 1_000)
    }
}
