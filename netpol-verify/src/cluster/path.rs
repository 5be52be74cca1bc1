//! The path of a field inside an object, as `spec.ingress[0].from[1]`.

use std::fmt;

/// One step down into an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A key of a mapping.
    Key(String),
    /// An index of a list.
    Index(usize),
}

/// A path from an object's top to one of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldPath(pub(crate) Vec<Step>);

impl FieldPath {
    /// The path of a field written with dots, without indices: `metadata.name`.
    pub(crate) fn of(dotted: &str) -> Self {
        Self(
            dotted
                .split('.')
                .filter(|key| !key.is_empty())
                .map(|key| Step::Key(key.to_owned()))
                .collect(),
        )
    }

    /// The path that was written as [`FieldPath`] writes it; a key with a dot in it becomes two.
    pub(crate) fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        for part in text.split('.').filter(|part| !part.is_empty()) {
            let mut indices = Vec::new();
            let mut key = part;
            while let Some((rest, index)) = key.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
                let Ok(index) = index.parse() else { break };
                indices.push(Step::Index(index));
                key = rest;
            }
            steps.push(Step::Key(key.to_owned()));
            steps.extend(indices.into_iter().rev());
        }
        Self(steps)
    }

    /// This path and one key more.
    #[must_use]
    pub(crate) fn key(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.to_owned()));
        Self(steps)
    }

    /// This path and one index more.
    #[must_use]
    pub(crate) fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }

    /// This path, then `rest`.
    #[must_use]
    pub(crate) fn then(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// Whether it names the object itself.
    pub(crate) const fn is_top(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&serde_path_to_error::Path> for FieldPath {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        Self(
            path.iter()
                .map_while(|segment| match segment {
                    Segment::Seq { index } => Some(Step::Index(*index)),
                    Segment::Map { key } => Some(Step::Key(key.clone())),
                    Segment::Enum { .. } | Segment::Unknown => None,
                })
                .collect(),
        )
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::FieldPath;

    #[test]
    fn a_path_reads_as_kubectl_writes_it() {
        let path = FieldPath::of("spec.ingress").index(0).key("from").index(1);
        assert_eq!(path.to_string(), "spec.ingress[0].from[1]");
        assert_eq!(
            FieldPath::of("items").index(2).then(&path).to_string(),
            "items[2].spec.ingress[0].from[1]"
        );
    }
}
