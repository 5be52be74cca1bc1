//! The verifier: what sensors say, joined with what the API says.
//!
//! ```text
//!  bus -> ears (decode, join, interfaces) --+-> identity (whose namespace is it) -+
//!  API -> cluster (snapshots) --------------+                                     +-> prober: our own packets
//!                                                                                 +-> passive: everybody's
//!  passive -> ledger (findings, counts) -> board -> HTTP
//! ```

mod appraisal;
mod board;
mod destination;
#[cfg(test)]
mod destination_tests;
mod doubt;
mod ears;
mod elsewhere;
mod folds;
mod http;
mod identity;
mod ledger;
mod line;
mod listener;
mod local;
mod metrics;
mod passive;
mod prober;
mod query;
mod recent;
mod service;
mod services;
mod settle;
mod share;
mod trust;
mod wording;
mod world;

pub use board::{Board, Status};
pub use ears::{Departure, Ears, Taken};
pub use folds::Like;
pub use http::serve;
pub use identity::{Found, Identity};
pub use ledger::{JudgedLine, KeptFinding, Ledger};
pub use line::Line;
pub use local::LocalSensors;
pub use passive::{Judged, Limits, NotJudged, Passive};
pub use prober::{ClusterProber, Decided, Order, ProbingError};
pub(crate) use query::verdicts;
pub use query::{ParseQueryError, Query};
pub use service::{BusState, Service, ServiceError};
pub use settle::{LastChange, Stands, stands};
pub use share::{ParseShareError, Share};
pub use trust::Trust;
pub use world::World;
