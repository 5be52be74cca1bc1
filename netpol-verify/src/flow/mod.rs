//! Sightings of one attempt become an outcome. Knows no Kubernetes.
//!
//! ```text
//!  Announcement, Roster -> watch  (which namespaces are watched, since when) --+
//!  LossTotals -----------> losses (which namespaces lost records, when) -------+-> node -> nodes
//!  calls, heartbeats ----> clock  (how far the node's clock is from ours) -----+             |
//!  Sighting -> tracker (join by source and number) -> Trace --------------------------------> outcome
//! ```

mod clock;
mod datagrams;
mod in_flight;
mod losses;
mod node;
mod outcome;
mod trace;
mod tracker;
mod watch;

pub use clock::NodeClock;
pub use in_flight::{InFlight, Next};
pub use losses::LossLog;
pub use node::{Node, Nodes};
pub use outcome::{DropPlace, Outcome, Rejection, Reply, UnknownCause};
pub use trace::{Trace, Window};
pub use tracker::{Patience, Tracker};
pub use watch::Watch;
