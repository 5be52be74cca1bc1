//! Who may reach whom, from policies alone: the pairs, what is answered, and one renderer a file.

mod answers;
mod csv;
mod diff;
mod diff_json;
mod diff_table;
mod dot;
mod fold;
mod graph;
mod html;
mod intent;
mod json;
mod labels;
mod mermaid;
mod port;
mod rows;
mod selection;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_hostile;
#[cfg(test)]
mod tests_random;
mod view;

pub use answers::Counts;
pub use csv::csv;
pub use diff::{Diff, DiffChange, DiffRow, Effect};
pub use diff_json::{DiffDocument, diff_schema_text};
pub use dot::dot;
pub use html::html;
pub use intent::{Break, break_lines, breaks};
pub use json::{Document, json, matrix_schema_text};
pub use labels::{ParseSelectorError, Selector, selector};
pub use mermaid::mermaid;
pub use port::{ParsePortError, Port, ports_of};
pub use rows::{Expect, Row, RowAnswer};
pub use selection::{Selection, SelectionError};
pub use table::{Grids, grids};
pub use view::{By, Cluster, View};
