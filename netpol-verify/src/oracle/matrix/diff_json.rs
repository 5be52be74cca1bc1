//! A comparison as JSON, a row for each pair, and its schema.

use std::io;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{
    diff::{Changed, Diff, DiffChange, DiffRow, Sides},
    json::{Separated, VERSION, from, rest, schema_text, text, to},
    port::Port,
    rows::{Parts, write},
};
use crate::cluster::ObjectName;

/// What a change opens and closes. Written row by row; this is its shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffDocument {
    /// `netpol-verify.io/v1alpha1`.
    #[schemars(extend("const" = VERSION))]
    pub api_version: String,
    /// `MatrixDiff`.
    #[schemars(extend("const" = "MatrixDiff"))]
    pub kind: String,
    /// Pods that only the second side has; their pairs are not compared.
    pub added: Vec<ObjectName>,
    /// Pods that only the first side has; likewise.
    pub removed: Vec<ObjectName>,
    /// The pairs that are answered otherwise.
    pub rows: Vec<DiffRow>,
}

struct Json;

impl Diff<'_, '_> {
    /// Writes the document.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn json(&self, out: &mut impl io::Write) -> io::Result<()> {
        write!(
            out,
            "{{\"apiVersion\":\"{VERSION}\",\"kind\":\"MatrixDiff\",\"added\":{},\"removed\":{},\"rows\":[",
            text(self.added())?,
            text(self.removed())?
        )?;
        let mut rows = Separated::new(out);
        for port in &self.ports {
            if let Some(sides) = Sides::new(self.view, *port) {
                write(
                    self.view,
                    *port,
                    &|from, to| sides.changed(from, to),
                    &Json,
                    &mut rows,
                )?;
            }
        }
        rows.finish()?;
        out.write_all(b"]}\n")
    }
}

/// The JSON schema of a [`DiffDocument`], as it is committed.
///
/// # Errors
/// When the schema cannot be written as JSON.
pub fn diff_schema_text() -> serde_json::Result<String> {
    schema_text(&schema_for!(DiffDocument))
}

impl Parts<Changed> for Json {
    fn from(&self, name: &str) -> io::Result<Vec<u8>> {
        from(name)
    }

    fn to(&self, name: &str) -> io::Result<Vec<u8>> {
        to(name)
    }

    fn answer(&self, port: Port, changed: &Changed, pairs: Option<u64>) -> io::Result<Vec<u8>> {
        rest(&DiffChange::new(port, changed, pairs))
    }
}
