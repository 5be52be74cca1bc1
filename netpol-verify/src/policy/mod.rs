//! What the policies require. Knows no packets, no clock and no IO; Kubernetes types stop in the `compile` files.

mod answer;
mod between;
mod bits;
mod blocks;
mod class;
mod compile;
mod compile_admin;
mod compile_clauses;
pub(crate) mod compile_port;
pub(crate) mod compile_rule;
pub(crate) mod compile_selector;
mod decision;
mod evaluate;
mod explain;
mod follow;
mod intent;
mod intent_check;
mod labels;
mod likeness;
mod matrix;
mod nearest;
mod opened;
mod outside;
mod port;
mod rule;
mod selector;
mod set;
mod side;
mod suggest;
#[cfg(test)]
mod tests;

pub use between::{between, facing};
pub use compile::compile;
pub use decision::{
    AdminRef, AdminRuleRef, Decision, Direction, End, Expectation, PolicyRef, RuleRef, Side, Traffic,
    Translation, Unspecified,
};
pub use explain::{ClosedSide, Explanation, explain};
pub use intent::{Intent, IntentPath, Whom};
pub use intent_check::{IntentCheck, Wanted};
pub use likeness::Likeness;
pub use matrix::{Matrix, PodId};
pub use nearest::{NearMiss, Unmet};
pub use outside::{Outside, outside};
pub(crate) use selector::{Requirement, Selector};
pub use set::PolicySet;
pub use suggest::Suggestion;
