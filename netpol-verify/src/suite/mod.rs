//! Scenarios and conformance cases as data, and the runner: build, apply a stage, probe, judge, report.

pub mod cases;
mod judged;
mod pairs;
mod preset;
mod prober;
mod run;
mod scenario;
mod stand;

pub use judged::{Label, labelled, line};
pub use pairs::{Attempt, attempts, can_probe, deciders};
pub use preset::{Cni, ParseCniError};
pub use prober::{Decided, Planned, Prober};
pub use run::{Labels, Recorder, check_intent, kernel_release, load, losses, play, reported};
pub use scenario::{ProbePattern, Scenario, ScenarioError, ScenarioStage};
pub use stand::{StageResult, Stand, StandError};
