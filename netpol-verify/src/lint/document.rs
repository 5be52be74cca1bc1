//! The `Lint` document: what `-o json` prints and the table reads. Its schema is committed beside the crate.

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

use super::{code::Severity, finding::Finding};
use crate::report::{Tool, VERSION, document_text};

/// The kind of this document.
pub const KIND: &str = "Lint";

/// What lint found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lint {
    /// [`VERSION`].
    #[schemars(extend("const" = VERSION))]
    pub api_version: String,
    /// [`KIND`].
    #[schemars(extend("const" = KIND))]
    pub kind: String,
    /// What was looked at and how much was found.
    pub summary: Summary,
    /// The findings at or above the threshold, in the order of their places.
    pub findings: Vec<Finding>,
    /// Who wrote this.
    pub tool: Tool,
}

/// Counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Summary {
    /// Policies of all kinds.
    pub policies: usize,
    /// Pods, and workloads that stand for theirs.
    pub pods: usize,
    /// The lowest severity that is listed.
    pub threshold: Severity,
    /// Errors found, listed or not; so are the next two.
    pub errors: usize,
    /// Warnings found.
    pub warnings: usize,
    /// What else is worth knowing.
    pub infos: usize,
}

impl Lint {
    /// The document of all findings, of which those at or above the threshold are listed.
    #[must_use]
    pub fn new(mut findings: Vec<Finding>, policies: usize, pods: usize, threshold: Severity) -> Self {
        let of = |severity| findings.iter().filter(|it| it.severity == severity).count();
        let summary = Summary {
            policies,
            pods,
            threshold,
            errors: of(Severity::Error),
            warnings: of(Severity::Warning),
            infos: of(Severity::Info),
        };
        findings.retain(|finding| finding.severity <= threshold);
        Self {
            api_version: VERSION.to_owned(),
            kind: KIND.to_owned(),
            summary,
            findings,
            tool: Tool::default(),
        }
    }

    /// Findings that are not listed because they matter less than asked for.
    #[must_use]
    pub const fn unlisted(&self) -> usize {
        let Summary {
            errors,
            warnings,
            infos,
            ..
        } = self.summary;
        (errors + warnings + infos).saturating_sub(self.findings.len())
    }
}

/// The document as JSON, ended by a line feed.
///
/// # Errors
///
/// When a value cannot be written as JSON; no value of a [`Lint`] can cause that today.
pub fn json(lint: &Lint) -> serde_json::Result<String> {
    document_text(lint)
}

/// The JSON schema of a [`Lint`], draft 2020-12.
#[must_use]
pub fn schema() -> Schema {
    schema_for!(Lint)
}
