//! What the policies require. Knows no packets, no clock and no IO; Kubernetes types stop in `compile`.

mod cidr;
mod compile;
mod compile_port;
mod compile_selector;
mod decision;
mod evaluate;
mod peer;
mod port;
mod selector;
mod set;

pub use compile::compile;
pub use decision::{Decision, Direction, End, Expectation, PolicyRef, RuleRef, Side, Traffic, Unspecified};
pub use set::PolicySet;
