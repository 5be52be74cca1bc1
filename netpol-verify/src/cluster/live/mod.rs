//! The cluster as its API server tells it, read and never written: the current context's, as kubectl finds it.
//!
//! Every object goes through the door of manifests ([`Loaded`](super::Loaded)), as the server spells it. Each kind is listed by
//! itself, so a cluster that changes meanwhile may be seen at as many moments as there are kinds.
//!
//! Read once by [`LiveCluster::load`], or followed: [`LiveCluster::watch`] tells what changes, and [`Followed`] makes of what is
//! told a cluster that says of each kind whether it is still the real one.

mod connect;
mod error;
mod follow;
#[cfg(test)]
mod follow_tests;
mod followed;
#[cfg(test)]
mod followed_tests;
mod lines;
mod page;
mod proxy;
mod read;
mod resource;
mod standing;
mod told;
mod watch;

pub use connect::{Access, LiveCluster};
pub use error::{Denied, LiveError};
pub use followed::Followed;
pub use lines::Lines;
pub use resource::{Needed, needed};
pub use standing::Standing;
pub use told::Told;
pub use watch::Watching;
