//! Which pairs are looked at: namespaces, labels, sources and destinations.

use super::labels::{Selector, SelectorExt as _};
use crate::cluster::{ObjectName, Pod, Snapshot};

/// Which pairs are shown. A pair is, when its source and its destination are taken and one of them is in the focus.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The namespace that one end must be in.
    pub namespace: Option<String>,
    /// The labels that one end must have, the same end.
    pub labels: Option<Selector>,
    /// The sources; empty means all.
    pub from: Vec<ObjectName>,
    /// The destinations; empty means all.
    pub to: Vec<ObjectName>,
}

/// A selection that selects nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// No pod is in that namespace.
    #[error("namespace {0:?} has no pod; there are pods in {1}")]
    Namespace(String, String),
    /// No pod is taken by a pattern of `--from` or `--to`.
    #[error(
        "--{0} {1} takes no pod; expected namespace/pod, namespace/workload or namespace/*; there are {2}"
    )]
    End(&'static str, String, String),
    /// No pod has those labels.
    #[error("no pod {0}is selected by the labels {1:?}")]
    Labels(String, String),
}

/// How many names an error lists.
const LISTED: usize = 20;

impl Selection {
    /// Whether every part of it selects a pod of some of these clusters.
    ///
    /// # Errors
    /// With the first that does not, and what there is instead.
    pub fn check(&self, snapshots: &[&Snapshot]) -> Result<(), SelectionError> {
        let pods = || snapshots.iter().flat_map(|snapshot| &snapshot.pods);
        if let Some(namespace) = &self.namespace
            && !pods().any(|pod| pod.name.namespace == *namespace)
        {
            let all = listed(pods().map(|pod| pod.name.namespace.clone()));
            return Err(SelectionError::Namespace(namespace.clone(), all));
        }
        if let Some(labels) = &self.labels
            && !pods().any(|pod| self.is_focus(pod))
        {
            let place = self
                .namespace
                .as_ref()
                .map(|name| format!("in namespace {name:?} "));
            return Err(SelectionError::Labels(
                place.unwrap_or_default(),
                labels.to_string(),
            ));
        }
        for (word, patterns) in [("from", &self.from), ("to", &self.to)] {
            for pattern in patterns {
                if !pods().any(|pod| takes(pattern, pod)) {
                    let near = |pod: &&Pod| pod.name.namespace == pattern.namespace;
                    let all = if pods().any(|pod| near(&pod)) {
                        listed(pods().filter(near).map(|pod| pod.name.to_string()))
                    } else {
                        let spaces = pods().map(|pod| format!("{}/*", pod.name.namespace));
                        listed(spaces)
                    };
                    return Err(SelectionError::End(word, pattern.to_string(), all));
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_source(&self, pod: &Pod) -> bool {
        self.takes_any_source() || self.from.iter().any(|pattern| takes(pattern, pod))
    }

    pub(super) fn is_target(&self, pod: &Pod) -> bool {
        self.takes_any_target() || self.to.iter().any(|pattern| takes(pattern, pod))
    }

    pub(super) fn is_focus(&self, pod: &Pod) -> bool {
        self.namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == pod.name.namespace)
            && self
                .labels
                .as_ref()
                .is_none_or(|labels| labels.matches(&pod.labels))
    }

    pub(super) fn takes_any_source(&self) -> bool {
        self.from.is_empty()
    }

    pub(super) fn takes_any_target(&self) -> bool {
        self.to.is_empty()
    }

    pub(super) fn has_no_focus(&self) -> bool {
        self.namespace.is_none() && self.labels.is_none()
    }
}

fn takes(pattern: &ObjectName, pod: &Pod) -> bool {
    pattern.namespace == pod.name.namespace
        && (pattern.name == "*"
            || pattern.name == pod.name.name
            || pod
                .workload
                .as_ref()
                .is_some_and(|workload| workload.name == pattern.name))
}

fn listed(names: impl Iterator<Item = String>) -> String {
    let names: std::collections::BTreeSet<String> = names.collect();
    let more = names.len().saturating_sub(LISTED);
    let mut text = names.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        text.push_str("none");
    }
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
