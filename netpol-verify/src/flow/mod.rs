//! Sightings of one attempt become an outcome. Knows no Kubernetes.
//!
//! ```text
//!  Announcement -> watch (which namespaces are watched, since when, until when they are proven)
//!  Sighting -----> tracker (join by source and number) -> Trace -> outcome
//!  LossTotals ---> losses (which namespaces lost records, when)
//! ```

mod datagrams;
mod losses;
mod outcome;
mod trace;
mod tracker;
mod watch;

pub use losses::LossLog;
pub use outcome::{DropPlace, Outcome, Rejection, Reply, UnknownCause};
pub use trace::{Trace, Window};
pub use tracker::{Patience, Tracker};
pub use watch::Watch;
