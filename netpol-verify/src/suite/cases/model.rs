//! A suite: what it asks, of which world, and its cases in steps.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use serde::Deserialize;

use crate::{
    cluster::{Change, ClusterState, Object, ObjectKey, Place},
    net::Protocol,
};

use super::expect::Expect;

/// A suite of cases, whole: everything in it was found and checked.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Its short name, which is its folder's.
    pub name: String,
    /// What it is, in one sentence.
    pub title: String,
    /// What is there before the first step of every case.
    pub world: Vec<Object>,
    /// The ports on which every pod asks every other.
    pub ports: Vec<Port>,
    /// The words for features, by group.
    pub features: BTreeMap<String, Vec<String>>,
    /// The cases in order.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its stable name: `CY-013`.
    pub id: String,
    /// What it proves, in one sentence.
    pub title: String,
    /// What it exercises, in the suite's words.
    pub features: BTreeSet<String>,
    /// Whether the suite's origin runs it when not told otherwise.
    pub default: bool,
    /// What happens, in order; at least one step.
    pub steps: Vec<Step>,
    /// Where it is written.
    pub place: Place,
}

/// One step of a case.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is applied.
    pub apply: Vec<Object>,
    /// What is deleted after that.
    pub delete: Vec<ObjectKey>,
    /// Whether whoever enforces is started anew; nothing else changes then.
    pub restart: bool,
    /// Whether paths are tried while the change is made, and not only when it is.
    pub watched: bool,
    /// What must hold then.
    pub expect: Expect,
    /// Where it is written.
    pub place: Place,
}

impl Case {
    /// Whether whoever enforces is started anew in it.
    #[must_use]
    pub fn restarts(&self) -> bool {
        self.steps.iter().any(|step| step.restart)
    }
}

impl Suite {
    /// A cluster before the first step of a case.
    #[must_use]
    pub fn state(&self) -> ClusterState {
        let mut state = ClusterState::default();
        state.apply(self.world.iter().cloned());
        state
    }
}

impl Step {
    /// Does to a cluster what the step says.
    pub fn play(&self, state: &mut ClusterState) -> Vec<Change> {
        let mut changes = state.apply(self.apply.iter().cloned());
        changes.extend(state.delete(self.delete.iter().cloned()));
        changes
    }
}

/// A port of one protocol, written `80/TCP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// The protocol.
    pub protocol: Protocol,
    /// The number, 1-65535.
    pub number: u16,
}

/// The text is not a port of a protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no port; expected a number from 1 to 65535, a slash, and TCP, UDP or SCTP, as 80/TCP")]
pub struct ParsePortError(pub String);

impl FromStr for Port {
    type Err = ParsePortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(number, protocol)| {
            let number = number.parse().ok().filter(|number| *number > 0)?;
            let protocol = protocol.parse().ok()?;
            Some(Self { protocol, number })
        });
        parsed.ok_or_else(|| ParsePortError(text.to_owned()))
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
