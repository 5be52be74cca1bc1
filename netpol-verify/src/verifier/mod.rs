//! The verifier: what sensors say, joined with what the API says.
//!
//! ```text
//!  bus -> ears (decode, join, interfaces) --+-> identity (whose namespace is it) -+
//!  API -> cluster (snapshots) --------------+                                     +-> prober: our own packets
//!                                                                                 +-> passive: everybody's
//! ```

mod ears;
mod identity;
mod line;
mod prober;

pub use ears::{Departure, Ears, Taken};
pub use identity::{Found, Identity};
pub use line::Line;
pub use prober::{ClusterProber, Decided, Order, ProbingError};
