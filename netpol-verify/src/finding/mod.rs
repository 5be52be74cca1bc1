//! Verdicts of one kind for the same policies and the same ends, gathered under a stable code.

mod attempt;
mod code;
mod collect;

pub use attempt::{DropKind, Expected, JudgedAttempt, Observed, Path};
pub use code::{CODES, Code, Severity};
pub use collect::{Evidence, Finding, collect};

// `report` knows findings and nothing behind them, so the one word it prints for each attempt comes from here.
pub use crate::judge::Verdict;
