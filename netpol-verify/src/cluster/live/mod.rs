//! The cluster as its API server tells it, read and never written: the current context's, as kubectl finds it.
//!
//! Every object goes through the door of manifests ([`Loaded`](super::Loaded)), as the server spells it. Each kind is listed by
//! itself, so a cluster that changes meanwhile may be seen at as many moments as there are kinds.

mod connect;
mod error;
mod page;
mod proxy;
mod read;
mod resource;

pub use connect::{Access, LiveCluster};
pub use error::{Denied, LiveError};
