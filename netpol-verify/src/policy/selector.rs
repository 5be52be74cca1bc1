//! Label selectors, checked once and then only asked.

use std::collections::{BTreeMap, BTreeSet};

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
    #[error("the key is empty; expected a label key")]
    NoKey,
}

impl Requirement {
    /// Checks one entry of `matchExpressions`.
    pub(crate) fn new(key: &str, operator: &str, values: &[String]) -> Result<Self, SelectorError> {
        if key.is_empty() {
            return Err(SelectorError::NoKey);
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
        assert_eq!(Requirement::new("", "Exists", &[]), Err(SelectorError::NoKey));
        assert_eq!(
            Requirement::new("a", "in", &some),
            Err(SelectorError::Operator("in".into()))
        );
    }
}
