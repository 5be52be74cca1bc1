//! Scenarios and conformance cases as data, and the runner: build, apply a stage, probe, judge, report.

pub mod cases;
mod crafted;
mod door;
mod fuzz;
mod judged;
mod lab_scene;
mod moments;
mod open;
mod outside;
mod pairs;
mod patience;
mod play_all;
mod player;
mod preset;
mod prober;
mod proof;
mod record;
mod rounds;
mod run;
mod scenario;
mod scene;
mod selection;
mod stand;
mod unchanged;
mod watched;

pub use crafted::Crafted;
pub use door::{Dialled, Door, ParseDoorError};
pub use fuzz::{Fuzzing, fuzz};
pub use judged::{Label, labelled, line};
pub use lab_scene::LabScene;
pub use open::Sockets;
pub use pairs::{Attempt, attempts, can_probe, deciders, pick};
pub use play_all::{Results, play_all};
pub use player::{Played, Player};
pub use preset::{Cni, ParseCniError};
pub use prober::{Decided, Planned, Prober};
pub use proof::containers;
pub use record::{Record, RecordError, RunName};
pub use run::{
    Labels, Recorder, check_intent, environment, kernel_release, lab_losses, load, losses, play, reported,
};
pub use scenario::{ProbePattern, Scenario, ScenarioError, ScenarioStage};
pub use scene::{Changed, Round, Scene, ScenePatience};
pub use selection::{Chosen, ParseShardError, Selection, SelectionError, Shard, suites};
pub use stand::{StageResult, Stand, StandError};
