//! What a CNI enforces, feature by feature: cases, each with what its attempts gave, and everything that follows from them.

mod case;
mod conformance;
mod difference;
mod document;
mod feature;
mod feature_cell;
mod fingerprint;
mod moment;
mod settling;
mod table;
#[cfg(test)]
mod tests;

pub use case::{CaseResult, CaseVerdict, Cell, Proof, words};
pub use conformance::{CONFORMANCE_SUITE, conformance_report};
pub use difference::{Difference, difference_table};
pub use document::{CERTIFICATION, CaseCounts, Certification, CertificationFacts, Refused, SuiteResult};
pub use feature::Feature;
pub use fingerprint::Trait;
pub use moment::{Moment, MomentKind, MomentSummary, Moments};
pub use settling::{Edge, Percentiles, Settled, Settling};
pub use table::certification_table;
