//! The run as JSON, and the schema it keeps to.

use std::fmt::Write as _;

use schemars::{Schema, schema_for};
use serde::Serialize;

use super::{Certification, Run, escape::is_hostile};

/// The run as one JSON document, ended by a line feed.
///
/// # Errors
///
/// When a value cannot be written as JSON; no value of a [`Run`] can cause that today.
pub fn json(run: &Run) -> serde_json::Result<String> {
    document_text(run)
}

/// The certification as one JSON document, ended by a line feed.
///
/// # Errors
///
/// When a value cannot be written as JSON; no value of a [`Certification`] can cause that today.
pub fn certification_json(run: &Certification) -> serde_json::Result<String> {
    document_text(run)
}

/// Any document as people and programs get it: pretty, harmless to a terminal, ended by a line feed.
pub(crate) fn document_text<T: Serialize + ?Sized>(document: &T) -> serde_json::Result<String> {
    let mut text = harmless(&serde_json::to_string_pretty(document)?);
    text.push('\n');
    Ok(text)
}

/// The same JSON with what could deceive a terminal spelled as `\uXXXX`. JSON itself escapes only what lies below the
/// space, and outside of strings the document has nothing beyond ASCII.
pub(crate) fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character != '\n' && is_hostile(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(character);
        }
    }
    text
}

/// The JSON schema of a [`Run`], draft 2020-12.
#[must_use]
pub fn schema() -> Schema {
    schema_for!(Run)
}

/// The schema as it is committed: pretty, keys in a fixed order, ended by a line feed.
///
/// # Errors
///
/// When the schema cannot be written as JSON.
pub fn schema_text() -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(&schema())?;
    text.push('\n');
    Ok(text)
}

/// The JSON schema of a [`Certification`], draft 2020-12.
#[must_use]
pub fn certification_schema() -> Schema {
    schema_for!(Certification)
}

/// That schema as it is committed.
///
/// # Errors
///
/// When the schema cannot be written as JSON.
pub fn certification_schema_text() -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(&certification_schema())?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_a_terminal_obeys_is_spelled_out_and_read_back_the_same() {
        let name = "a\u{9b}2J\u{202e}\u{7f}\u{1b}\u{e0001}é";
        let json = serde_json::to_string_pretty(&[name]).unwrap();
        let safe = harmless(&json);
        assert!(
            safe.contains("\\u009b2J\\u202e\\u007f\\u001b\\udb40\\udc01é"),
            "{safe}"
        );
        assert_eq!(serde_json::from_str::<Vec<String>>(&safe).unwrap(), [name]);
    }
}
