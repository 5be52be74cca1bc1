//! Selectors in words, and the label that was probably meant where one selects nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::policy::{Requirement, Selector};

/// The most letters that may differ between what was written and what was meant.
const MOST_SLIPS: usize = 2;

/// A selector as `kubectl --selector` takes it.
pub(super) struct Spelled<'a>(pub(super) &'a Selector);

impl fmt::Display for Spelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.0.requirements().iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            let joined = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(",");
            match requirement {
                Requirement::In(key, values) if values.len() == 1 => write!(f, "{key}={}", joined(values))?,
                Requirement::In(key, values) => write!(f, "{key} in ({})", joined(values))?,
                Requirement::NotIn(key, values) => write!(f, "{key} notin ({})", joined(values))?,
                Requirement::Exists(key) => f.write_str(key)?,
                Requirement::DoesNotExist(key) => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

/// Whether a selector wants nothing at all, and so selects everything.
pub(super) fn is_everything(selector: &Selector) -> bool {
    selector.requirements().is_empty()
}

/// The labels of some objects: which values each key has.
#[derive(Debug, Default)]
pub(super) struct Labels<'a>(BTreeMap<&'a str, BTreeSet<&'a str>>);

impl<'a> Labels<'a> {
    pub(super) fn of(objects: impl IntoIterator<Item = &'a BTreeMap<String, String>>) -> Self {
        let mut labels = Self::default();
        for (key, value) in objects.into_iter().flatten() {
            labels.0.entry(key).or_default().insert(value);
        }
        labels
    }

    /// A label of these objects that a selector which selects none of them nearly asks for: `app=frontend`.
    pub(super) fn nearest(&self, selector: &Selector) -> Option<String> {
        let wanted = selector
            .requirements()
            .iter()
            .filter_map(|requirement| match requirement {
                Requirement::In(key, values) => Some((key, Some(values))),
                Requirement::Exists(key) => Some((key, None)),
                Requirement::NotIn(..) | Requirement::DoesNotExist(_) => None,
            });
        let slips = wanted.filter_map(|(key, values)| self.slip(key, values));
        let (_, label) = slips.min_by_key(|(distance, _)| *distance)?;
        Some(label)
    }

    /// The nearest label to one requirement that no object meets, and how many letters differ.
    fn slip(&self, key: &str, values: Option<&BTreeSet<String>>) -> Option<(usize, String)> {
        match (self.0.get(key), values) {
            (Some(there), Some(values)) if !values.iter().any(|value| there.contains(value.as_str())) => {
                let pairs = values
                    .iter()
                    .flat_map(|value| there.iter().map(move |other| (value, *other)));
                let near = pairs.filter_map(|(value, other)| Some((distance(value, other)?, other)));
                near.min()
                    .map(|(distance, other)| (distance, format!("{key}={other}")))
            }
            (Some(_), _) => None,
            (None, values) => {
                let near = self.0.iter().filter_map(|(other, there)| {
                    let value = values.map(|values| values.iter().find(|it| there.contains(it.as_str())));
                    // A key that is near counts where it carries the value that was asked for.
                    let label = match value {
                        None => (*other).to_owned(),
                        Some(value) => format!("{other}={}", value?),
                    };
                    Some((distance(key, other)?, label))
                });
                near.min()
            }
        }
    }
}

/// The nearest of several words, if one is near.
pub(super) fn nearest_word<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = words
        .into_iter()
        .filter_map(|other| Some((distance(word, other)?, other)));
    near.min().map(|(_, other)| other)
}

/// How many letters differ, where it is few enough for a slip: short words must be nearer. The crate that the command
/// line's own suggestions come from counts a swap of neighbours as one.
fn distance(one: &str, other: &str) -> Option<usize> {
    let longest = one.len().max(other.len());
    if one.len().abs_diff(other.len()) > MOST_SLIPS || longest > 253 {
        return None;
    }
    let distance = strsim::damerau_levenshtein(one, other);
    (distance > 0 && distance <= MOST_SLIPS && distance * 3 <= longest).then_some(distance)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Labels, Spelled, nearest_word};
    use crate::policy::{Requirement, Selector};

    fn wanted(key: &str, operator: &str, values: &[&str]) -> Selector {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        Selector::new(vec![Requirement::new(key, operator, &values).unwrap()])
    }

    #[test]
    fn a_slip_of_the_finger_is_found_and_another_word_is_not() {
        let object: BTreeMap<String, String> = [("app", "frontend"), ("tier", "db")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let labels = Labels::of([&object]);
        for (selector, expected) in [
            (wanted("app", "In", &["frontned"]), Some("app=frontend")),
            (wanted("app", "In", &["Frontend"]), Some("app=frontend")),
            (wanted("app", "In", &["backend"]), None),
            (wanted("app", "In", &["frontend"]), None),
            (wanted("app", "NotIn", &["frontned"]), None),
            (wanted("tire", "In", &["db"]), Some("tier=db")),
            (wanted("tire", "In", &["web"]), None),
            (wanted("tire", "Exists", &[]), Some("tier")),
            (wanted("tier", "In", &["da"]), None),
        ] {
            let found = labels.nearest(&selector);
            assert_eq!(found.as_deref(), expected, "{}", Spelled(&selector));
        }
        assert_eq!(nearest_word("htpp", ["metrics", "http"]), Some("http"));
        assert_eq!(nearest_word("web", ["db", "api"]), None);
    }

    #[test]
    fn selectors_read_as_kubectl_takes_them() {
        for (selector, text) in [
            (wanted("app", "In", &["a"]), "app=a"),
            (wanted("app", "In", &["b", "a"]), "app in (a,b)"),
            (wanted("app", "NotIn", &["a"]), "app notin (a)"),
            (wanted("app", "DoesNotExist", &[]), "!app"),
        ] {
            assert_eq!(Spelled(&selector).to_string(), text);
        }
    }
}
