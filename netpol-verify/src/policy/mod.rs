//! What the policies require. Knows no packets, no clock and no IO; Kubernetes types stop in `compile`.

mod decision;

pub use decision::{Decision, Direction, End, Expectation, PolicyRef, RuleRef, Side, Traffic, Unspecified};
