//! Kubernetes' label selectors to ours.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::cluster::path::FieldPath;

use super::{
    compile::Report,
    selector::{Requirement, Selector},
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
    let mut requirements = Vec::new();
    let mut is_valid = true;
    let mut add = |path: &FieldPath, requirement| match requirement {
        Ok(requirement) => requirements.push(requirement),
        Err(error) => {
            report.problem(path, format!("{error}; {then}"));
            is_valid = false;
        }
    };
    for (key, value) in written.match_labels.iter().flatten() {
        let values = [value.clone()];
        add(&path.key("matchLabels"), Requirement::new(key, "In", &values));
    }
    for (index, written) in written.match_expressions.iter().flatten().enumerate() {
        let values = written.values.as_deref().unwrap_or_default();
        let requirement = Requirement::new(&written.key, &written.operator, values);
        add(&path.key("matchExpressions").index(index), requirement);
    }
    is_valid.then(|| Selector::new(requirements))
}
