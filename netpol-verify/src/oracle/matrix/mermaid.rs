//! The allowed paths for Mermaid, as GitHub and GitLab draw it.

use std::{collections::BTreeSet, io};

use super::{graph::Graph, port::Port, view::View};
use crate::report::escape;

/// Mermaid's own limit: it draws no graph with more edges (`maxEdges`, 500 unless a site says otherwise).
const MOST_EDGES: usize = 500;
/// With more ends than this, those without a path are left out: a text may have 50,000 characters (`maxTextSize`).
const MOST_ENDS: usize = 200;

/// Writes the graph; what is left out is said in a comment.
///
/// # Errors
/// When `out` cannot be written to.
pub fn mermaid(view: &View<'_>, ports: &[Port], out: &mut impl io::Write) -> io::Result<()> {
    let graph = Graph::new(view, ports);
    let mut edges = Vec::new();
    let mut more = 0_usize;
    for edge in graph.edges() {
        if edges.len() < MOST_EDGES {
            edges.push(edge);
        } else {
            more += 1;
        }
    }
    let used: BTreeSet<usize> = edges.iter().flat_map(|edge| [edge.from, edge.to]).collect();
    let is_drawn = |end: &usize| graph.ends.len() <= MOST_ENDS || used.contains(end);
    writeln!(
        out,
        "flowchart LR\n%% What the policies allow for certain. Dotted: only some of the pairs."
    )?;
    if more > 0 {
        writeln!(
            out,
            "%% {more} more paths are left out: Mermaid draws {MOST_EDGES} at most. Narrow it with -n, -l, --from, --to or \
             --by workload, or use -o dot."
        )?;
    }
    let hidden = (0..graph.ends.len()).filter(|end| !is_drawn(end)).count();
    if hidden > 0 {
        writeln!(out, "%% {hidden} ends without a path drawn are left out.")?;
    }
    for (number, (namespace, ends)) in graph.namespaces().into_iter().enumerate() {
        let ends: Vec<usize> = ends.into_iter().filter(is_drawn).collect();
        if ends.is_empty() {
            continue;
        }
        writeln!(
            out,
            "subgraph s{number}[{}]",
            quoted(namespace.unwrap_or("outside the cluster"))
        )?;
        for end in ends {
            if let Some(unit) = graph.ends.get(end) {
                writeln!(out, "  n{end}[{}]", quoted(&unit.label))?;
            }
        }
        writeln!(out, "end")?;
    }
    for edge in edges {
        let arrow = if edge.is_partial { "-.->" } else { "-->" };
        writeln!(
            out,
            "n{} {arrow}|{}| n{}",
            edge.from,
            quoted(&edge.label),
            edge.to
        )?;
    }
    Ok(())
}

/// What could mean something to Mermaid, Markdown or HTML becomes a character's number.
fn quoted(text: &str) -> String {
    let mut safe = String::from("\"");
    for character in escape(text).chars() {
        if character.is_ascii_alphanumeric() || " ./-,:()*".contains(character) {
            safe.push(character);
        } else {
            safe.push_str(&format!("#{};", u32::from(character)));
        }
    }
    safe.push('"');
    safe
}
