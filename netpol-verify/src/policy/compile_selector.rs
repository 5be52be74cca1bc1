//! Kubernetes' label selectors to ours.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::cluster::path::FieldPath;

use super::{
    compile::Report,
    selector::{Requirement, Selector, SelectorError},
};

/// Compiles a selector; absent means everything (R4, R7). `None` when the API would refuse it; `then` says what follows.
pub(crate) fn selector(
    written: Option<&LabelSelector>,
    path: &FieldPath,
    then: &str,
    report: &mut Report<'_>,
) -> Option<Selector> {
    let Some(written) = written else {
        return Some(Selector::default());
    };
    let mut read = Vec::new();
    let mut is_valid = true;
    for (index, requirement) in requirements(written) {
        match requirement {
            Ok(requirement) => read.push(requirement),
            Err(error) => {
                let path = match index {
                    None => path.key("matchLabels"),
                    Some(index) => path.key("matchExpressions").index(index),
                };
                report.problem(&path, format!("{error}; {then}"));
                is_valid = false;
            }
        }
    }
    is_valid.then(|| Selector::new(read))
}

/// Reads what a selector asks for, entry by entry: of `matchLabels` without an index, then of `matchExpressions`. `Err` is
/// what the API would refuse.
pub(crate) fn requirements(
    written: &LabelSelector,
) -> impl Iterator<Item = (Option<usize>, Result<Requirement, SelectorError>)> {
    let labels = written.match_labels.iter().flatten();
    let by_label = labels.map(|(key, value)| {
        let requirement = Requirement::new(key, "In", std::slice::from_ref(value));
        (None, requirement)
    });
    let expressions = written.match_expressions.iter().flatten().enumerate();
    by_label.chain(expressions.map(|(index, it)| {
        let values = it.values.as_deref().unwrap_or_default();
        (Some(index), Requirement::new(&it.key, &it.operator, values))
    }))
}
