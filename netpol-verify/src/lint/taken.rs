//! What could not be taken as it stands, as findings: the reader of the input and the compiler of policies have said it.

use super::{code::NOT_TAKEN, finding::Finding};
use crate::cluster::Problem;

/// One finding a problem, but for those that a rule here says better, about the same field or one in it.
pub(super) fn find(problems: &[Problem], out: &mut Vec<Finding>) {
    let said: Vec<(Option<String>, Option<String>)> = out
        .iter()
        .map(|finding| (finding.object.clone(), finding.path.clone()))
        .collect();
    for problem in problems {
        if problem.object.is_some() && said.contains(&(problem.object.clone(), problem.path.clone())) {
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
        out.push(finding);
    }
}
