//! Label selectors, read from the API's text.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// Whether the labels satisfy the selector. matchLabels and matchExpressions are ANDed; an empty selector
/// matches everything. (That a *missing* selector is something else is the caller's business.)
pub(super) fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let pairs = selector.match_labels.iter().flatten();
    let requirements = selector.match_expressions.iter().flatten();
    // A selector that the API server would have refused selects nothing, whatever is negated in it.
    let is_readable = pairs.clone().all(|(key, value)| is_key(key) && is_value(value))
        && requirements.clone().all(is_lawful);
    if !is_readable {
        return false;
    }
    pairs
        .into_iter()
        .all(|(key, value)| labels.get(key) == Some(value))
        && requirements
            .into_iter()
            .all(|requirement| satisfies(requirement, labels))
}

/// "A lowercase RFC 1123 subdomain" and a slash, or neither, and then a name of 63 characters at most.
fn is_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let is_domain_part = |part: &str| {
        part.starts_with(is_lower)
            && part.ends_with(is_lower)
            && part.chars().all(|one| is_lower(one) || one == '-')
    };
    !name.is_empty()
        && is_value(name)
        && prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_domain_part))
}

const fn is_lower(one: char) -> bool {
    one.is_ascii_lowercase() || one.is_ascii_digit()
}

/// "Must be 63 characters or less (can be empty), unless empty, must begin and end with an alphanumeric character, could
/// contain dashes, underscores, dots, and alphanumerics between."
fn is_value(value: &str) -> bool {
    let is_alphanumeric = |one: char| one.is_ascii_alphanumeric();
    value.is_empty()
        || value.len() <= 63
            && value.starts_with(is_alphanumeric)
            && value.ends_with(is_alphanumeric)
            && value
                .chars()
                .all(|one| is_alphanumeric(one) || "-_.".contains(one))
}

/// Whether a requirement is one that the API has: its key, its operator, and values where the operator takes some.
fn is_lawful(requirement: &LabelSelectorRequirement) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let takes_values = match requirement.operator.as_str() {
        "In" | "NotIn" => true,
        "Exists" | "DoesNotExist" => false,
        _ => return false,
    };
    is_key(&requirement.key)
        && takes_values != values.is_empty()
        && values.iter().all(|value| is_value(value))
}

fn satisfies(requirement: &LabelSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&requirement.key);
    let listed = |value: &String| requirement.values.iter().flatten().any(|one| one == value);
    let lists_values = requirement
        .values
        .as_ref()
        .is_some_and(|values| !values.is_empty());
    match requirement.operator.as_str() {
        // "If the operator is In or NotIn, the values array must be non-empty."
        "In" => lists_values && value.is_some_and(listed),
        // An object without the key matches NotIn too (R10).
        "NotIn" => lists_values && !value.is_some_and(listed),
        // "If the operator is Exists or DoesNotExist, the values array must be empty."
        "Exists" => !lists_values && value.is_some(),
        "DoesNotExist" => !lists_values && value.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn requiring(key: &str, operator: &str, values: &[&str]) -> LabelSelector {
        LabelSelector {
            match_labels: None,
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: key.to_owned(),
                operator: operator.to_owned(),
                values: (!values.is_empty()).then(|| values.iter().map(|v| (*v).to_owned()).collect()),
            }]),
        }
    }

    #[test]
    fn an_empty_selector_matches_everything() {
        assert!(matches(&LabelSelector::default(), &labels(&[])));
        assert!(matches(&LabelSelector::default(), &labels(&[("a", "b")])));
    }

    #[test]
    fn the_four_operators_differ_on_an_object_without_the_key() {
        let none = labels(&[]);
        assert!(!matches(&requiring("a", "In", &["x"]), &none));
        assert!(matches(&requiring("a", "NotIn", &["x"]), &none));
        assert!(!matches(&requiring("a", "Exists", &[]), &none));
        assert!(matches(&requiring("a", "DoesNotExist", &[]), &none));
    }

    #[test]
    fn the_four_operators_on_an_object_with_the_key() {
        let x = labels(&[("a", "x")]);
        assert!(matches(&requiring("a", "In", &["x", "y"]), &x));
        assert!(!matches(&requiring("a", "In", &["y"]), &x));
        assert!(!matches(&requiring("a", "NotIn", &["x"]), &x));
        assert!(matches(&requiring("a", "NotIn", &["y"]), &x));
        assert!(matches(&requiring("a", "Exists", &[]), &x));
        assert!(!matches(&requiring("a", "DoesNotExist", &[]), &x));
    }

    #[test]
    fn labels_and_expressions_are_anded() {
        let mut selector = requiring("tier", "Exists", &[]);
        selector.match_labels = Some(labels(&[("app", "web")]));
        assert!(matches(&selector, &labels(&[("app", "web"), ("tier", "1")])));
        assert!(!matches(&selector, &labels(&[("app", "web")])));
        assert!(!matches(&selector, &labels(&[("tier", "1")])));
    }

    #[test]
    fn an_unknown_operator_matches_nothing() {
        assert!(!matches(&requiring("a", "Near", &["x"]), &labels(&[("a", "x")])));
    }
}
