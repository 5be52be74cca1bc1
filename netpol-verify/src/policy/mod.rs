//! What the policies require. Knows no packets, no clock and no IO; Kubernetes types stop in the `compile` files.

mod compile;
mod compile_port;
mod compile_rule;
mod compile_selector;
mod decision;
mod evaluate;
mod explain;
mod intent;
mod intent_check;
mod opened;
mod peer;
mod port;
mod selector;
mod set;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_explain;
#[cfg(test)]
mod tests_intent;
#[cfg(test)]
mod tests_random;
#[cfg(test)]
mod tests_world;

pub use compile::compile;
pub use decision::{Decision, Direction, End, Expectation, PolicyRef, RuleRef, Side, Traffic, Unspecified};
pub use explain::{ClosedSide, Explanation, Suggestion, explain};
pub use intent::{Intent, IntentPath, Whom};
pub use intent_check::{IntentCheck, Wanted};
pub use set::PolicySet;
