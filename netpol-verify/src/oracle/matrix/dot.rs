//! The allowed paths for Graphviz.

use std::io;

use super::{graph::Graph, port::Port, view::View};
use crate::report::escape;

/// Writes the graph; edges are paths that the policies allow for certain, dashed where only some pairs of two ends may.
///
/// # Errors
/// When `out` cannot be written to.
pub fn dot(view: &View<'_>, ports: &[Port], out: &mut impl io::Write) -> io::Result<()> {
    let graph = Graph::new(view, ports);
    writeln!(
        out,
        "digraph netpol {{\n  // What the policies allow for certain. Dashed: only some of the pairs.\n  \
         rankdir=LR;\n  node [shape=box, style=rounded];"
    )?;
    for (number, (namespace, ends)) in graph.namespaces().into_iter().enumerate() {
        let title = namespace.unwrap_or("outside the cluster");
        writeln!(
            out,
            "  subgraph cluster_{number} {{\n    label={};",
            quoted(title)
        )?;
        for end in ends {
            if let Some(unit) = graph.ends.get(end) {
                writeln!(out, "    n{end} [label={}];", quoted(&unit.label))?;
            }
        }
        writeln!(out, "  }}")?;
    }
    for edge in graph.edges() {
        let style = if edge.is_partial { ", style=dashed" } else { "" };
        writeln!(
            out,
            "  n{} -> n{} [label={}{style}];",
            edge.from,
            edge.to,
            quoted(&edge.label)
        )?;
    }
    writeln!(out, "}}")
}

/// A backslash would begin an escape of Graphviz' own.
fn quoted(text: &str) -> String {
    format!("\"{}\"", escape(text).replace('\\', "\\\\").replace('"', "\\\""))
}
