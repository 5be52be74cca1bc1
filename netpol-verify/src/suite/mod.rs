//! Scenarios as data, and the runner.

mod prober;
mod scenario;

pub use prober::{Decided, Planned, Prober};
pub use scenario::{ProbePattern, Scenario, ScenarioError, ScenarioStage};
