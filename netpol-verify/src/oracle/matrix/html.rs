//! The matrix as one page that needs nothing from elsewhere.

use std::io;

use super::{
    answers::{Word, grouped},
    fold::{Axes, Tally, Unit},
    port::Port,
    table::{alike, deciders},
    view::View,
};
use crate::report::escape;

/// More rows or columns than this are folded, and then left out.
const MOST: usize = 200;
const MOST_ANSWERS: usize = 200;

/// Writes the page; `notes` are lines below its title.
///
/// # Errors
/// When `out` cannot be written to.
pub fn html(view: &View<'_>, ports: &[Port], notes: &[String], out: &mut impl io::Write) -> io::Result<()> {
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'\">\n<title>Who may reach whom</title>\n<style>\n{}</style>\n</head>\n<body>\n\
         <h1>Who may reach whom</h1>\n\
         <p>What the network policies require, not what packets do. Rows open connections, columns are reached.</p>\n",
        include_str!("html.css")
    )?;
    for note in notes {
        writeln!(out, "<p>{}</p>", text(note))?;
    }
    out.write_all(
        b"<form><label>from contains <input id=\"from\" type=\"search\"></label>\
          <label>to contains <input id=\"to\" type=\"search\"></label></form>\n",
    )?;
    for alike in alike(view, ports, true) {
        writeln!(
            out,
            "<h2>{}</h2>\n<p>{}</p>",
            text(&alike.title()),
            text(&alike.counts.to_string())
        )?;
        let axes = Axes::new(view, &alike.asked, |rows, columns| {
            rows.len() <= MOST && columns.len() <= MOST
        });
        let (rows, more_rows) = axes.rows.split_at(MOST.min(axes.rows.len()));
        let (columns, more_columns) = axes.columns.split_at(MOST.min(axes.columns.len()));
        out.write_all(b"<div class=\"scroll\"><table>\n<thead><tr><th>from \\ to</th>")?;
        for unit in columns {
            write!(
                out,
                "<th scope=\"col\">{}</th>",
                text(&unit.label).replace('/', "/<wbr>")
            )?;
        }
        out.write_all(b"</tr></thead>\n<tbody>\n")?;
        for from in rows {
            write!(out, "<tr><th scope=\"row\">{}</th>", text(&from.label))?;
            for to in columns {
                let tally = view.tally(&alike.asked, from, to);
                write!(
                    out,
                    "<td class=\"{}\">{}</td>",
                    class(&tally),
                    text(&tally.text())
                )?;
            }
            out.write_all(b"</tr>\n")?;
        }
        out.write_all(b"</tbody></table></div>\n")?;
        if axes.is_folded {
            out.write_all(b"<p>Ends with the same answers share a row or a column.</p>\n")?;
        }
        left_out(out, "rows", more_rows)?;
        left_out(out, "columns", more_columns)?;
        out.write_all(b"<details><summary>Who decides</summary>\n<ul>\n")?;
        let deciders = deciders(view, &alike.asked);
        for one in deciders.iter().take(MOST_ANSWERS) {
            writeln!(
                out,
                "<li>{} × {}: {}{}</li>",
                grouped(one.pairs),
                text(&one.sentence),
                text(&one.examples.join(", ")),
                if one.is_more { ", …" } else { "" }
            )?;
        }
        if let Some(more) = deciders.len().checked_sub(MOST_ANSWERS + 1) {
            writeln!(out, "<li>and {} more answers</li>", grouped(more as u64 + 1))?;
        }
        out.write_all(b"</ul></details>\n")?;
    }
    write!(
        out,
        "<p>“3 of 9”: of 9 pairs 3 are allowed. “–”: no such pair.</p>\n<script>\n{}</script>\n</body>\n</html>\n",
        include_str!("html.js")
    )
}

fn left_out(out: &mut impl io::Write, what: &str, units: &[Unit]) -> io::Result<()> {
    if units.is_empty() {
        return Ok(());
    }
    let pods: usize = units.iter().map(|unit| unit.size).sum();
    writeln!(
        out,
        "<p>{} more {what} ({} pods) are left out; -n, -l, --from, --to and --by workload narrow it, -o csv has every \
         pair.</p>",
        grouped(units.len() as u64),
        grouped(pods as u64)
    )
}

fn class(tally: &Tally) -> &'static str {
    match tally.word() {
        Some(Word::Allow) => "allow",
        Some(Word::Deny) => "deny",
        Some(Word::Unspecified) => "unspecified",
        None if tally.is_empty() => "none",
        None => "mixed",
    }
}

/// A text that is nothing but text, in an element or between quotes.
fn text(raw: &str) -> String {
    escape(raw)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
