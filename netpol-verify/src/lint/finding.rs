//! A finding: what is wrong, where, and how to mend it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::code::{Code, Severity};
use crate::cluster::{Place, path::FieldPath};

/// One thing that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Finding {
    /// The stable number: `NPL002`.
    pub code: String,
    /// The stable word: `egress-half-missing`.
    pub name: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about: `NetworkPolicy netpol-demo/default-deny`; `null` for what is no object.
    pub object: Option<String>,
    /// Where it is written; `null` for what is written nowhere, as the pods that a policy leaves out.
    pub place: Option<Place>,
    /// The field in the object: `spec.ingress[0].from[1]`; `null` for all of it.
    pub path: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
    /// Manifests that do it, tried out: with them the policies let the path through.
    pub manifest: Option<String>,
}

impl Finding {
    /// A finding that has no object, place or field yet.
    pub(super) fn new(code: &Code, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            code: code.id.to_owned(),
            name: code.name.to_owned(),
            severity: code.severity,
            object: None,
            place: None,
            path: None,
            message: message.into(),
            fix: fix.into(),
            manifest: None,
        }
    }

    /// Says which object it is about, and where that is written.
    #[must_use]
    pub(super) fn about(mut self, object: impl Into<String>, place: Option<&Place>) -> Self {
        self.object = Some(object.into());
        self.place = place.cloned();
        self
    }

    /// Says which field it is about.
    #[must_use]
    pub(super) fn at(mut self, path: &FieldPath) -> Self {
        self.path = (!path.is_top()).then(|| path.to_string());
        self
    }
}

/// `a, b, c and 4 more`: as many as a reader takes in.
pub(super) fn listed<T: std::fmt::Display>(all: impl IntoIterator<Item = T>) -> String {
    const SHOWN: usize = 4;
    let mut all = all.into_iter();
    let shown: Vec<String> = all.by_ref().take(SHOWN).map(|one| one.to_string()).collect();
    match (shown.as_slice(), all.count()) {
        ([], _) => "nothing".to_owned(),
        ([one], 0) => one.clone(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (shown, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `1 pod`, `3 pods`.
pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else if let Some(stem) = what.strip_suffix('y') {
        format!("{count} {stem}ies")
    } else {
        format!("{count} {what}s")
    }
}
