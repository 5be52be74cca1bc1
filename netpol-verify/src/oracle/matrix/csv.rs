//! The matrix as CSV, row by row.

use std::io;

use csv::{Terminator, Writer, WriterBuilder};

use super::{
    answers::{Answer, Asked},
    port::Port,
    rows::{Parts, RowAnswer, write},
    view::View,
};
use crate::report::escape_to;

/// The columns.
const HEADER: [&str; 9] = [
    "from", "to", "protocol", "port", "expect", "by", "family", "why", "pairs",
];

struct Csv;

/// Writes every row; `by` is joined by `; `.
///
/// # Errors
/// When `out` cannot be written to.
pub fn csv(view: &View<'_>, ports: &[Port], out: &mut impl io::Write) -> io::Result<()> {
    out.write_all(&record(&HEADER)?)?;
    for port in ports {
        if let Some(asked) = Asked::new(view, 0, *port) {
            write(view, *port, &|from, to| asked.answer(from, to), &Csv, out)?;
        }
    }
    Ok(())
}

/// Quoting is the crate's, field by field and once for each name and each answer; a row is then three parts in a line.
fn record(fields: &[&str]) -> io::Result<Vec<u8>> {
    let mut writer: Writer<Vec<u8>> = WriterBuilder::new()
        .terminator(Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    writer.write_record(fields.iter().map(|field| tamed(field)))?;
    writer
        .into_inner()
        .map_err(|error| io::Error::other(error.to_string()))
}

/// A spreadsheet takes what begins like a formula for one; and no terminal shall obey what a name holds.
fn tamed(field: &str) -> String {
    let safe = escape_to(field, usize::MAX);
    if safe.starts_with(['=', '+', '-', '@']) {
        format!("'{safe}")
    } else {
        safe
    }
}

impl Csv {
    /// A field and the comma after it: the record of it and an empty one, without its end.
    fn field(text: &str) -> io::Result<Vec<u8>> {
        let mut part = record(&[text, ""])?;
        part.pop();
        Ok(part)
    }
}

impl Parts<Answer> for Csv {
    fn from(&self, name: &str) -> io::Result<Vec<u8>> {
        Self::field(name)
    }

    fn to(&self, name: &str) -> io::Result<Vec<u8>> {
        Self::field(name)
    }

    fn answer(&self, port: Port, answer: &Answer, pairs: Option<u64>) -> io::Result<Vec<u8>> {
        let answer = RowAnswer::new(port, answer, pairs);
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        record(&[
            answer.protocol.as_str(),
            &answer.port.to_string(),
            &format!("{:?}", answer.expect),
            &answer.by.join("; "),
            &answer.family.map(|family| family.to_string()).unwrap_or_default(),
            &answer.why.map(|why| format!("{why:?}")).unwrap_or_default(),
            &number(answer.pairs),
        ])
    }
}
