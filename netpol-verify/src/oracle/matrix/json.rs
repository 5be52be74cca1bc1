//! The matrix as JSON, row by row, and the schema it keeps to.

use std::io;

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

use super::{
    answers::{Answer, Asked},
    intent::Break,
    port::Port,
    rows::{Parts, Row, RowAnswer, write},
    view::View,
};
use crate::report::harmless;

/// The `apiVersion` of what is written.
pub(super) const VERSION: &str = "netpol-verify.io/v1alpha1";

/// Who may reach whom. Written row by row; this is its shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// `netpol-verify.io/v1alpha1`.
    #[schemars(extend("const" = VERSION))]
    pub api_version: String,
    /// `Matrix`.
    #[schemars(extend("const" = "Matrix"))]
    pub kind: String,
    /// Port by port, source by source. Pairs without a common address family have no row, nor has a pod to itself.
    pub rows: Vec<Row>,
    /// What contradicts the intent; only where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_breaks: Option<Vec<Break>>,
}

struct Json;

/// Writes the document; `breaks` where an intent was given.
///
/// # Errors
/// When `out` cannot be written to.
pub fn json(
    view: &View<'_>,
    ports: &[Port],
    breaks: Option<&[Break]>,
    out: &mut impl io::Write,
) -> io::Result<()> {
    write!(
        out,
        "{{\"apiVersion\":\"{VERSION}\",\"kind\":\"Matrix\",\"rows\":["
    )?;
    let mut rows = Separated::new(out);
    for port in ports {
        if let Some(asked) = Asked::new(view, 0, *port) {
            write(view, *port, &|from, to| asked.answer(from, to), &Json, &mut rows)?;
        }
    }
    rows.finish()?;
    match breaks {
        None => out.write_all(b"]}\n"),
        Some(breaks) => {
            out.write_all(b"],\"intentBreaks\":")?;
            out.write_all(text(breaks)?.as_bytes())?;
            out.write_all(b"}\n")
        }
    }
}

/// The JSON schema of a [`Document`], as it is committed.
///
/// # Errors
/// When the schema cannot be written as JSON.
pub fn matrix_schema_text() -> serde_json::Result<String> {
    schema_text(&schema_for!(Document))
}

pub(super) fn schema_text(schema: &Schema) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(schema)?;
    text.push('\n');
    Ok(text)
}

/// A value as one line of JSON that no terminal obeys.
pub(super) fn text<T: Serialize + ?Sized>(value: &T) -> io::Result<String> {
    Ok(harmless(&serde_json::to_string(value)?))
}

impl Parts<Answer> for Json {
    fn from(&self, name: &str) -> io::Result<Vec<u8>> {
        from(name)
    }

    fn to(&self, name: &str) -> io::Result<Vec<u8>> {
        to(name)
    }

    fn answer(&self, port: Port, answer: &Answer, pairs: Option<u64>) -> io::Result<Vec<u8>> {
        rest(&RowAnswer::new(port, answer, pairs))
    }
}

/// The beginning of a row.
pub(super) fn from(name: &str) -> io::Result<Vec<u8>> {
    Ok(format!("\n{{\"from\":{},", text(name)?).into_bytes())
}

/// Its second part.
pub(super) fn to(name: &str) -> io::Result<Vec<u8>> {
    Ok(format!("\"to\":{},", text(name)?).into_bytes())
}

/// Its rest: the members of an object.
pub(super) fn rest<T: Serialize>(answer: &T) -> io::Result<Vec<u8>> {
    let text = text(answer)?;
    Ok(format!("{},", text.get(1..).unwrap_or_default()).into_bytes())
}

/// Rows end with a comma; the last one's is held back.
pub(super) struct Separated<'a, W> {
    out: &'a mut W,
    is_open: bool,
}

impl<'a, W: io::Write> Separated<'a, W> {
    pub(super) const fn new(out: &'a mut W) -> Self {
        Self { out, is_open: false }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        if self.is_open {
            self.out.write_all(b"\n")
        } else {
            Ok(())
        }
    }
}

impl<W: io::Write> io::Write for Separated<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some((last, rest)) = bytes.split_last() else {
            return Ok(());
        };
        if std::mem::replace(&mut self.is_open, *last == b',') {
            self.out.write_all(b",")?;
        }
        self.out.write_all(if *last == b',' { rest } else { bytes })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
