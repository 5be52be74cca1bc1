//! Clusters and questions on which the two readings of the policies once disagreed, as files that both are put to again.
//!
//! A file holds manifests and, among them, documents of kind `Question`: two ends, a protocol, a port, the answer that
//! the specification gives, and why. `cargo xtask fuzz-oracle` prints such a file for every new disagreement.

mod manifests;
mod question;

use std::{fs, path::Path};

use self::question::{Expected, Question};
use super::{
    agreement::disagreement,
    literal::{Reading, permits},
};
use crate::{
    cluster::{Loaded, Snapshot, document},
    net::Protocol,
    policy::compile,
};

pub(super) use self::question::QuestionEnd;

/// A cluster and a question, as a file of this folder; the answer and the reason are for people to fill in.
pub(super) fn file(
    snapshot: &Snapshot,
    ends: (QuestionEnd, QuestionEnd),
    to_port: (Protocol, u16),
    why: &str,
) -> String {
    let question = Question::new(ends, to_port, why);
    format!(
        "{}---\n{}",
        serde_saphyr::to_string(&question).unwrap(),
        manifests::written(snapshot)
    )
}

fn questions(text: &str) -> Vec<Question> {
    let documents = document::split(text);
    document::values(&documents)
        .into_iter()
        .zip(&documents)
        .filter(|(values, _)| {
            let values = values.as_ref().unwrap();
            values.iter().any(|(value, _)| value["kind"] == question::KIND)
        })
        .map(|(_, document)| document.read().unwrap())
        .collect()
}

#[test]
fn no_disagreement_of_the_past_comes_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lab/regressions");
    let mut asked = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let (snapshot, problems) = Loaded::from_text(&text, &path).into_snapshot();
        // What is read as closed is said too, and belongs to the question.
        let left_out = problems.iter().find(|one| one.message.contains("left out"));
        assert_eq!(left_out, None);
        let (set, _) = compile(&snapshot);
        for question in questions(&text) {
            let (from, to) = question.parties(&snapshot);
            let literal = permits(&snapshot, from, to, question.protocol, question.port);
            let differs = disagreement(&snapshot, &set, from, to, question.protocol, question.port);
            let shown = path.display();
            match (question.expected, literal) {
                (Expected::Permitted, Reading::Permitted)
                | (Expected::Refused, Reading::Refused { .. })
                | (Expected::Undefined, Reading::Undefined(_)) => assert_eq!(differs, None, "{shown}"),
                // Each may answer as it likes; that both have answered is the claim.
                (Expected::Open, _) => {}
                (expected, literal) => panic!("{shown}: expected {expected:?}, found {literal:?}"),
            }
            asked += 1;
        }
    }
    assert!(asked > 3, "the files of regressions/ are read");
}
