//! Expectation and outcome side by side, and the verdict.

mod verdict;

pub use verdict::{Inconclusive, Verdict};
