//! The `Run` document: what `-o json` prints and every renderer reads. Its schema is committed beside the crate.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RunVerdict, Summary};
use crate::{
    finding::{Expected, Finding, JudgedAttempt},
    net::Protocol,
};

/// The version of this document's format.
pub const VERSION: &str = "netpol-verify.io/v1alpha1";

/// The kind of this document.
pub const KIND: &str = "Run";

/// One run: what was asked, what was seen, what follows, and how far it can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// [`VERSION`].
    #[schemars(extend("const" = VERSION))]
    pub api_version: String,
    /// [`KIND`].
    #[schemars(extend("const" = KIND))]
    pub kind: String,
    /// What follows for the run as a whole.
    pub verdict: RunVerdict,
    /// The verdicts of all attempts, counted.
    pub summary: Summary,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// Every attempt.
    pub attempts: Vec<JudgedAttempt>,
    /// What the owner wants, against what the policies say; packets take no part in it.
    pub intent: Vec<Intent>,
    /// What is to be said about the attempts, gathered.
    pub findings: Vec<Finding>,
    /// Records that were lost.
    pub losses: Losses,
    /// What was exercised, and what never was.
    pub coverage: Coverage,
    /// Where it ran.
    pub environment: Environment,
    /// What in the input could not be taken as it stands.
    pub problems: Vec<Problem>,
    /// Versions of what took part: `nft`, `cni-plugins`, …
    pub versions: BTreeMap<String, String>,
    /// Who wrote this.
    pub tool: Tool,
    /// When it began, RFC 3339.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started: jiff::Timestamp,
    /// When it ended, RFC 3339.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub finished: jiff::Timestamp,
    /// How long it took, in microseconds.
    pub duration_micros: u64,
}

/// One stage: a state of the policies in which every path is probed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stage {
    /// Its name: `default-deny`.
    pub name: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its verdicts, counted.
    pub summary: Summary,
    /// What follows for it.
    pub verdict: RunVerdict,
}

/// What an owner wants of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// It must be open.
    Open,
    /// It must be closed.
    Closed,
}

/// A path the owner wants open or closed, and what the policies say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Intent {
    /// Who opens the connection.
    pub from: String,
    /// Whom it is for.
    pub to: String,
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
    /// What the owner wants.
    pub wanted: Wanted,
    /// What the policies say.
    pub policy: Expected,
    /// Who decides that.
    pub by: Vec<String>,
    /// The policies contradict the owner.
    pub broken: bool,
    /// The smallest change that would open it, in one line.
    pub suggestion: Option<String>,
    /// That change as a manifest.
    pub suggest: Option<String>,
}

/// Records that were lost, by the step that lost them. Anything but zero makes verdicts inconclusive where it touches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Losses {
    /// Packets the programs looked at.
    pub seen: u64,
    /// Records that reached the verifier.
    pub recorded: u64,
    /// Packets folded into the count of an earlier record: nothing is lost by it.
    pub folded: u64,
    /// The ring was full.
    pub ring_full: u64,
    /// A pod's token bucket was empty.
    pub throttled: u64,
    /// Read from the ring and never published.
    pub not_published: u64,
    /// Losses that cannot be placed on a pod: they touch everyone.
    pub unplaced: u64,
    /// Batches missing from a sensor's sequence.
    pub missing_batches: u64,
    /// Packets whose headers could not be followed.
    pub unparsed: u64,
    /// Later fragments, which carry no ports.
    pub fragments: u64,
    /// Records that user space could not decode.
    pub undecodable: u64,
}

/// What a run exercised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Coverage {
    /// The policies.
    pub policies: Policies,
    /// Pods that no attempt started from or went to.
    pub pods_never_probed: Vec<String>,
}

/// Which policies decided an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policies {
    /// At least one attempt was decided by it.
    pub exercised: Vec<String>,
    /// No attempt was: nothing is known of its enforcement.
    pub never_exercised: Vec<String>,
}

/// Where a run took place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Environment {
    /// The kernel's release.
    pub kernel: String,
    /// The CNI: a preset's name in the lab.
    pub cni: String,
    /// How pods are wired, with what was used for it: `bridge (CNI plugins bridge 1.1.1, host-local 1.1.1)`.
    pub wiring: String,
    /// Who enforces: `none`, `nftables`, `exec:PATH`.
    pub enforcer: String,
    /// The fault put in on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What was applied stage by stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The nodes' names.
    pub nodes: Vec<String>,
    /// What the sensor had to do without and what that costs, and other remarks.
    pub notes: Vec<String>,
}

/// Something in the input that could not be taken as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Problem {
    /// File and line.
    pub place: String,
    /// The object.
    pub object: Option<String>,
    /// The path in it.
    pub path: Option<String>,
    /// What is wrong and what was done instead.
    pub message: String,
}

/// Who wrote a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tool {
    /// `netpol-verify`.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Default for Tool {
    fn default() -> Self {
        Self {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl std::iter::Sum for Losses {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            seen: sum.seen.saturating_add(one.seen),
            recorded: sum.recorded.saturating_add(one.recorded),
            folded: sum.folded.saturating_add(one.folded),
            ring_full: sum.ring_full.saturating_add(one.ring_full),
            throttled: sum.throttled.saturating_add(one.throttled),
            not_published: sum.not_published.saturating_add(one.not_published),
            unplaced: sum.unplaced.saturating_add(one.unplaced),
            missing_batches: sum.missing_batches.saturating_add(one.missing_batches),
            unparsed: sum.unparsed.saturating_add(one.unparsed),
            fragments: sum.fragments.saturating_add(one.fragments),
            undecodable: sum.undecodable.saturating_add(one.undecodable),
        })
    }
}

impl Losses {
    /// How many records are gone for good.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.ring_full
            .saturating_add(self.throttled)
            .saturating_add(self.not_published)
            .saturating_add(self.missing_batches)
            .saturating_add(self.undecodable)
    }
}
