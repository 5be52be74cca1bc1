//! Certifying a cluster: pods of its own and policies of a suite, or what is there already; probes, and nothing left behind.
//!
//! ```text
//!  lease -> install (sensors, NATS, where they are not) -> world (namespaces, pods) -> stage by stage:
//!      policies applied -> rounds of probes until settled -> judged by what the API says -> report
//!  with --existing no world: the user's own pods, one stage, no change
//!  and at the end, however it comes: namespaces, installation, lease are removed
//! ```

mod account;
mod api;
mod error;
mod existing;
mod ground;
mod install;
mod lease;
mod nodes;
mod reach;
mod run;
mod sample;
mod stage;
mod tunnel;
mod world;

pub use error::CertifyError;
pub use existing::Existing;
pub use install::{Images, secret};
pub use run::{Request, Target, certify};
