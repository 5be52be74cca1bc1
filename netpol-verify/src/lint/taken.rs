//! What could not be taken as it stands, as findings: the reader of the input and the compiler of policies have said it.

use std::collections::HashSet;

use super::{code::NOT_TAKEN, finding::Finding};
use crate::cluster::Problem;

/// One finding a problem, but for those that a rule here says better, about the same field.
pub(super) fn find(problems: &[Problem], out: &mut Vec<Finding>) {
    let said: HashSet<(Option<&str>, Option<&str>)> = out
        .iter()
        .map(|finding| (finding.object.as_deref(), finding.path.as_deref()))
        .collect();
    let mut found = Vec::new();
    for problem in problems {
        let about = (problem.object.as_deref(), problem.path.as_deref());
        if problem.object.is_some() && said.contains(&about) {
            continue;
        }
        let mut finding = Finding::new(
            NOT_TAKEN,
            problem.message.clone(),
            "Correct it as the message says.",
        );
        finding.object.clone_from(&problem.object);
        finding.place = Some(problem.place.clone());
        finding.path.clone_from(&problem.path);
        found.push(finding);
    }
    out.append(&mut found);
}
