//! The run as JSON, and the schema it keeps to.

use schemars::{Schema, schema_for};

use super::Run;

/// The run as one JSON document, ended by a line feed.
///
/// # Errors
///
/// When a value cannot be written as JSON; no value of a [`Run`] can cause that today.
pub fn json(run: &Run) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(run)?;
    text.push('\n');
    Ok(text)
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
