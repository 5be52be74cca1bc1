//! Certifying a cluster: pods of its own and policies of a suite, or what is there already; probes, and nothing left behind.
//! Examining one: what it has and lacks for that.
//!
//! ```text
//!  lease -> install (sensors, NATS, where they are not) -> world (namespaces, pods) -> stage by stage:
//!      policies applied -> rounds of probes until settled -> judged by what the API says -> report
//!  with --existing no world: the user's own pods, one stage, no change
//!  and at the end, however it comes: namespaces, installation, lease are removed
//! ```

mod account;
mod agents;
mod api;
mod cases;
mod clocks;
mod error;
mod examine;
mod existing;
mod ground;
mod install;
mod lease;
mod machines;
mod names;
mod nodes;
mod reach;
mod rights;
mod run;
mod sample;
mod scene;
mod scene_addresses;
mod sensors;
mod stage;
mod tunnel;
mod world;

pub use agents::Agents;
pub use error::CertifyError;
pub use examine::examine;
pub use existing::Existing;
pub use install::{Images, secret};
pub use run::{Cases, Certified, Request, Target, certify};
