//! Certifying a cluster: pods of its own, policies of a suite, probes, and nothing left behind.
//!
//! ```text
//!  lease -> install (sensors, NATS, where they are not) -> world (namespaces, pods) -> stage by stage:
//!      policies applied -> rounds of probes until settled -> judged by what the API says -> report
//!  and at the end, however it comes: namespaces, installation, lease are removed
//! ```

mod api;
mod error;
mod install;
mod lease;
mod nodes;
mod run;
mod stage;
mod tunnel;
mod world;

pub use error::CertifyError;
pub use install::{Images, secret};
pub use run::{Request, certify};
