//! The run as one document, and its renderers: a table for people, JSON for machines. Knows findings and nothing
//! behind them.

mod certification;
mod checked;
mod closing;
mod document;
mod escape;
mod fuzzed;
mod ink;
mod json;
mod matrix;
mod pairs;
mod path_result;
mod run;
mod summary;
mod table;

pub use certification::{
    CERTIFICATION, CONFORMANCE_SUITE, CaseCounts, CaseResult, CaseVerdict, Cell, Certification,
    CertificationFacts, Difference, Edge, Feature, Moment, MomentKind, MomentSummary, Moments, Percentiles,
    Proof, Refused, Settled, Settling, SuiteResult, Trait, certification_table, conformance_report,
    difference_table, words,
};
pub use checked::{Checked, checked_json, checked_table};
pub(crate) use closing::wrapped;
/// A document cannot be written as YAML.
pub use serde_saphyr::SerializeError as YamlError;

pub use document::{
    Coverage, Environment, Intent, KIND, Losses, Policies, Problem, Run, Stage, Tool, VERSION, Wanted,
};
pub use escape::escape;
pub(crate) use escape::escape_to;
pub use fuzzed::{Fuzzed, Reproduction};
pub(crate) use ink::Shade;
pub use ink::Style;
pub use json::{
    certification_json, certification_schema, certification_schema_text, json, schema, schema_text,
};
pub(crate) use json::{document_text, harmless};
pub use run::{Facts, StageTitle};
pub use summary::{RunVerdict, Summary};
pub use table::table;

#[cfg(test)]
mod sample;
#[cfg(test)]
pub(crate) mod tests;
