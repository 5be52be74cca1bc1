//! What the policies require. Knows no packets, no clock and no IO; Kubernetes types stop in the `compile` files.

mod answer;
mod between;
mod bits;
mod blocks;
mod class;
mod compile;
mod compile_admin;
mod compile_port;
mod compile_rule;
mod compile_selector;
mod decision;
mod evaluate;
mod explain;
mod follow;
mod intent;
mod intent_check;
mod labels;
mod likeness;
mod matrix;
mod opened;
mod outside;
mod port;
mod rule;
mod selector;
mod set;
mod side;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_explain;
#[cfg(test)]
mod tests_intent;
#[cfg(test)]
mod tests_random;
#[cfg(test)]
mod tests_tiers;
#[cfg(test)]
mod tests_world;

pub use between::{between, facing};
pub use compile::compile;
pub use decision::{
    AdminRef, AdminRuleRef, Decision, Direction, End, Expectation, PolicyRef, RuleRef, Side, Traffic,
    Translation, Unspecified,
};
pub use explain::{ClosedSide, Explanation, Suggestion, explain};
pub use intent::{Intent, IntentPath, Whom};
pub use intent_check::{IntentCheck, Wanted};
pub use likeness::Likeness;
pub use matrix::{Matrix, PodId};
pub use outside::{Outside, outside};
pub use set::PolicySet;
