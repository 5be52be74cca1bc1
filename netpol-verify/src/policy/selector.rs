//! Label selectors, checked once and then only asked.

use crate::cluster::is_dns_subdomain;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A label selector; without requirements it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    requirements: Vec<Requirement>,
}

/// One condition on an object's labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Requirement {
    /// The key is there with one of these values.
    In(String, BTreeSet<String>),
    /// The key is absent, or has none of these values (R10).
    NotIn(String, BTreeSet<String>),
    /// The key is there.
    Exists(String),
    /// The key is not there (R10).
    DoesNotExist(String),
}

/// Why the API would refuse a requirement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectorError {
    #[error("{0:?} is no operator; expected In, NotIn, Exists or DoesNotExist")]
    Operator(String),
    #[error("{0} needs at least one value")]
    NoValues(&'static str),
    #[error("{0} takes no values")]
    Values(&'static str),
    #[error(
        "{0:?} is no label key; expected letters, digits, '-', '_' and '.', at most 63, after at most one DNS name and '/'"
    )]
    Key(String),
    #[error("{0:?} is no label value; expected letters, digits, '-', '_' and '.', at most 63")]
    Value(String),
}

impl Requirement {
    /// Checks one entry of `matchExpressions`.
    pub(crate) fn new(key: &str, operator: &str, values: &[String]) -> Result<Self, SelectorError> {
        if !is_label_key(key) {
            return Err(SelectorError::Key(key.to_owned()));
        }
        if let Some(value) = values
            .iter()
            .find(|value| !value.is_empty() && !is_label_part(value))
        {
            return Err(SelectorError::Value(value.clone()));
        }
        let key = key.to_owned();
        let set = || values.iter().cloned().collect();
        match (operator, values.is_empty()) {
            ("In", false) => Ok(Self::In(key, set())),
            ("In", true) => Err(SelectorError::NoValues("In")),
            ("NotIn", false) => Ok(Self::NotIn(key, set())),
            ("NotIn", true) => Err(SelectorError::NoValues("NotIn")),
            ("Exists", true) => Ok(Self::Exists(key)),
            ("Exists", false) => Err(SelectorError::Values("Exists")),
            ("DoesNotExist", true) => Ok(Self::DoesNotExist(key)),
            ("DoesNotExist", false) => Err(SelectorError::Values("DoesNotExist")),
            _ => Err(SelectorError::Operator(operator.to_owned())),
        }
    }

    /// Whether an object with these labels satisfies it.
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
        }
    }
}

impl fmt::Display for Requirement {
    /// As kubectl writes selectors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(", ");
        match self {
            Self::In(key, values) if values.len() == 1 => write!(f, "{key}={}", list(values)),
            Self::In(key, values) => write!(f, "{key} in ({})", list(values)),
            Self::NotIn(key, values) => write!(f, "{key} notin ({})", list(values)),
            Self::Exists(key) => f.write_str(key),
            Self::DoesNotExist(key) => write!(f, "!{key}"),
        }
    }
}

impl Requirement {
    /// The key that it looks at.
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::In(key, _) | Self::NotIn(key, _) | Self::Exists(key) | Self::DoesNotExist(key) => key,
        }
    }
}

impl Selector {
    /// A selector that wants all of these at once.
    pub(crate) const fn new(requirements: Vec<Requirement>) -> Self {
        Self { requirements }
    }

    /// What it wants, all at once.
    pub(crate) fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether an object with these labels is selected.
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.matches(labels))
    }
}

/// Whether a selector may ask for this label; the API server takes no other ones, but manifests may hold them.
pub(super) fn is_label(key: &str, value: &str) -> bool {
    is_label_key(key) && (value.is_empty() || is_label_part(value))
}

/// `IsQualifiedName` of the API server: an optional DNS name and `/`, then the name.
fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_label_part(name),
        None => is_label_part(key),
    }
}

/// What a label's name, and its value where it has one, are made of.
fn is_label_part(text: &str) -> bool {
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && is_end(text.bytes().next())
        && is_end(text.bytes().next_back())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::{Requirement, Selector, SelectorError};

    fn matches(operator: &str, values: &[&str], labels: &[(&str, &str)]) -> bool {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        let labels = labels
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        Selector::new(vec![Requirement::new("app", operator, &values).unwrap()]).matches(&labels)
    }

    #[test]
    fn r10_negative_operators_match_objects_without_the_key() {
        assert!(matches("NotIn", &["web"], &[]));
        assert!(matches("DoesNotExist", &[], &[("tier", "db")]));
        assert!(!matches("NotIn", &["web"], &[("app", "web")]));
        assert!(!matches("DoesNotExist", &[], &[("app", "")]));
        assert!(!matches("In", &["web"], &[]));
        assert!(matches("Exists", &[], &[("app", "")]));
    }

    #[test]
    fn a_selector_without_requirements_matches_everything() {
        assert!(Selector::default().matches(&[].into()));
    }

    #[test]
    fn requirements_the_api_refuses_are_refused() {
        let some = ["x".to_owned()];
        assert_eq!(
            Requirement::new("a", "In", &[]),
            Err(SelectorError::NoValues("In"))
        );
        assert_eq!(
            Requirement::new("a", "Exists", &some),
            Err(SelectorError::Values("Exists"))
        );
        for key in [
            "",
            "a b",
            "EXAMPLE.com/app",
            "a/b/c",
            "/a",
            "a/",
            "-a",
            &"a".repeat(64),
        ] {
            assert_eq!(
                Requirement::new(key, "Exists", &[]),
                Err(SelectorError::Key(key.into()))
            );
        }
        for key in ["app.kubernetes.io/name", "a", "A_b.c-d", "1"] {
            assert!(Requirement::new(key, "Exists", &[]).is_ok(), "{key}");
        }
        for value in ["a b", "-b", "b-", &"a".repeat(64)] {
            let values = [value.to_owned()];
            assert_eq!(
                Requirement::new("a", "In", &values),
                Err(SelectorError::Value(value.into()))
            );
        }
        assert!(
            Requirement::new("a", "In", &[String::new()]).is_ok(),
            "a value may be empty"
        );
        assert_eq!(
            Requirement::new("a", "in", &some),
            Err(SelectorError::Operator("in".into()))
        );
    }
}
