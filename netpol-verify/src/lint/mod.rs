//! What is valid and surely wrong in policies: one file a rule, a table of codes, and how findings are shown.
//!
//! A finding must be provable from what was read. What may be meant as it stands is `info`, or left out.

mod admin;
mod block;
mod code;
mod cover;
mod direction;
mod dns;
mod document;
mod finding;
mod groups;
mod half_path;
mod host_network;
mod intent;
mod named_port;
mod reach;
mod redundant;
mod run;
mod selects;
mod spelled;
mod table;
mod taken;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_random;
#[cfg(test)]
mod tests_rules;
#[cfg(test)]
mod tests_world;
mod uncovered;
mod world;
mod written;

pub use code::{CODES, Code, Severity};
pub use document::{KIND, Lint, Summary, json, schema};
pub use finding::Finding;
pub use run::{Subject, lint};
pub use table::table;
