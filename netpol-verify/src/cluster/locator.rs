//! The line of a field, found in the text that its object came from.
//!
//! An object remembers where it begins and no more: most are never complained about. Who does complain asks here, and the
//! files are read once more.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use super::{
    Place, Problem,
    document::{self, Document},
    path::FieldPath,
};

/// Finds lines of fields. Texts that cannot be read twice (standard input, pipes) are kept in it.
#[derive(Clone, Debug, Default)]
pub struct Locator {
    texts: HashMap<PathBuf, String>,
}

impl Locator {
    /// Keeps a text that `file` will not give again.
    pub(super) fn keep(&mut self, file: &Path, text: String) {
        self.texts.insert(file.to_owned(), text);
    }

    /// Moves places from where their objects begin to the line of a field in them, or of its nearest ancestor. Places
    /// without a line (objects of a live cluster) and of texts that cannot be had stay as they are.
    pub fn settle<'a>(&self, places: impl IntoIterator<Item = (&'a mut Place, &'a str)>) {
        let mut by_file: BTreeMap<PathBuf, Vec<(&mut Place, &str)>> = BTreeMap::new();
        for (place, path) in places.into_iter().filter(|(place, _)| place.line > 0) {
            by_file.entry(place.file.clone()).or_default().push((place, path));
        }
        for (file, places) in by_file {
            match self.texts.get(&file) {
                Some(text) => settle_in(text, places),
                // Never a device or a pipe: reading one could wait for ever.
                None if file.is_file() => {
                    if let Ok(bytes) = fs::read(&file) {
                        settle_in(&String::from_utf8_lossy(&bytes), places);
                    }
                }
                None => {}
            }
        }
    }

    /// The same for problems whose place is that of their object, as `compile` makes them.
    pub fn settle_problems(&self, problems: &mut [Problem]) {
        self.settle(problems.iter_mut().filter_map(|problem| {
            let path = problem.path.as_deref()?;
            Some((&mut problem.place, path))
        }));
    }
}

fn settle_in(text: &str, places: Vec<(&mut Place, &str)>) {
    let documents = document::split(text);
    for (place, path) in places {
        // Documents follow one another, so an object's is the last that begins at its line or before.
        let next = documents.partition_point(|document| document.line <= place.line);
        let document = next.checked_sub(1).and_then(|at| documents.get(at));
        if let Some(line) = document.and_then(|document| line(document, place.line, path)) {
            place.line = line;
        }
    }
}

/// The line of a field of the object that begins at `line`; `None` where it is not clear which object that is.
fn line(document: &Document<'_>, line: u64, path: &str) -> Option<u64> {
    let prefix = if document.line == line {
        FieldPath::default()
    } else {
        document.item_at(line)?
    };
    Some(document.line_of(&prefix.then(&FieldPath::parse(path))))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Locator;
    use crate::cluster::Place;

    const FILE: &str = "\
# A comment.
---
apiVersion: v1
kind: Namespace
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
spec:
  ingress:
  - from:
    - podSelector: {}
    - ipBlock:
        cidr: 10.0.0.0/8
---
apiVersion: v1
kind: List
items:
- kind: Pod
  spec: {}
- kind: NetworkPolicy
  spec:
    egress: []
";

    fn located(text: &str, line: u64, path: &str) -> u64 {
        let mut locator = Locator::default();
        locator.keep(Path::new("-"), text.to_owned());
        let mut place = Place {
            file: "-".into(),
            line,
        };
        locator.settle([(&mut place, path)]);
        place.line
    }

    #[test]
    fn a_field_has_the_line_that_it_is_written_on() {
        for (object, path, line) in [
            (6, "spec.ingress[0].from[1].ipBlock.cidr", 13),
            (6, "spec.ingress[0]", 10),
            (6, "spec.egress", 9),
            (6, "", 6),
            (20, "spec.egress", 22),
            (20, "spec", 22),
            (3, "metadata.name", 3),
        ] {
            assert_eq!(located(FILE, object, path), line, "{object} {path}");
        }
    }

    #[test]
    fn what_is_not_clear_stays_as_it_is() {
        for (text, line) in [
            (FILE, 0),
            ("", 7),
            ("kind: [", 1),
            ("{\"a\": 1}\n{\"b\": 2}", 2),
            ("items: [{kind: A}, {kind: B}]\n", 1),
        ] {
            assert_eq!(located(text, line, "spec.podSelector"), line, "{text:?}");
        }
    }

    #[test]
    fn a_path_reads_back_as_it_was_written() {
        use crate::cluster::path::FieldPath;
        for path in [
            "",
            "spec",
            "spec.ingress[0].from[12].podSelector",
            "items[3].spec",
        ] {
            assert_eq!(FieldPath::parse(path).to_string(), path);
        }
        assert_eq!(FieldPath::parse("a[x].b…").to_string(), "a[x].b…");
    }
}
