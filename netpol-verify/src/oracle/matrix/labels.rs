//! Label selectors as kubectl's `-l` spells them; what they select is kube's to say.

use std::collections::BTreeSet;

use kube::core::Expression;
pub use kube::core::Selector;
pub(super) use kube::core::SelectorExt;

/// The text is no label selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no label selector at {1:?}; expected, joined by commas: key=value, key!=value, key, !key, key in (a,b), key notin (a,b)"
)]
pub struct ParseSelectorError(pub String, pub String);

/// Reads a selector.
///
/// # Errors
/// With the part that is none.
pub fn selector(text: &str) -> Result<Selector, ParseSelectorError> {
    parts(text)
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| expression(part).ok_or_else(|| ParseSelectorError(text.to_owned(), part.to_owned())))
        .collect()
}

/// Splits at the commas that stand in no parentheses.
fn parts(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|character| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    })
    .map(str::trim)
    .collect()
}

fn expression(part: &str) -> Option<Expression> {
    if let Some(list) = part.strip_suffix(')') {
        let (head, values) = list.split_once('(')?;
        let mut words = head.split_whitespace();
        let (name, operator) = (key(words.next()?)?, words.next()?);
        let values: Option<BTreeSet<String>> = values.split(',').map(value).collect();
        let values = values.filter(|_| words.next().is_none())?;
        return match operator {
            "in" => Some(Expression::In(name, values)),
            "notin" => Some(Expression::NotIn(name, values)),
            _ => None,
        };
    }
    if let Some((name, wanted)) = part.split_once("!=") {
        return Some(Expression::NotEqual(key(name)?, value(wanted)?));
    }
    if let Some((name, wanted)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Expression::Equal(key(name)?, value(wanted)?));
    }
    match part.strip_prefix('!') {
        Some(name) => Some(Expression::DoesNotExist(key(name)?)),
        None => Some(Expression::Exists(key(part)?)),
    }
}

/// A label's key: a name, with or without a domain before it.
fn key(text: &str) -> Option<String> {
    let text = text.trim();
    let is_key = |part: &str| !part.is_empty() && value(part).is_some();
    let parts = text.split('/').collect::<Vec<_>>();
    (parts.len() <= 2 && parts.into_iter().all(is_key)).then(|| text.to_owned())
}

fn value(text: &str) -> Option<String> {
    let text = text.trim();
    let is_lawful = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    text.chars().all(is_lawful).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{SelectorExt as _, selector};

    #[test]
    fn a_selector_selects_as_kubectls_does() {
        let labels: BTreeMap<String, String> = [("app", "web"), ("example.com/tier", ""), ("v", "1.0")]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
        for (text, selected) in [
            ("", true),
            ("app=web", true),
            ("app == web , v", true),
            ("app=api", false),
            ("app!=api,absent!=x", true),
            ("app!=web", false),
            ("app in (api, web)", true),
            ("app in(api,web),v notin (2,3)", true),
            ("app notin (web)", false),
            ("!absent", true),
            ("!app", false),
            ("example.com/tier=", true),
            ("absent", false),
        ] {
            assert_eq!(selector(text).unwrap().matches(&labels), selected, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_named() {
        for text in [
            "a b", "=x", "a in", "a in x", "a on (x)", "a in (x", "a=b=c", "!", "a/b/c", "a=\u{1b}",
        ] {
            let error = selector(text).unwrap_err();
            assert!(error.to_string().contains("notin"), "{text}");
        }
    }
}
