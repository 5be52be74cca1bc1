//! Expectation and outcome side by side, and the verdict.

mod table;
mod verdict;

pub use table::{Judgement, judge};
pub use verdict::{Inconclusive, Verdict};
