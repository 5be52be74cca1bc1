//! Probes: a first packet of our own from inside a pod's namespace, half-open, so that no application sees a connection.

mod dns;
mod packet;
mod sctp;
mod socket;
mod tunnel;

pub use packet::{Probe, ProbeError};
pub use socket::{ProbeSocket, Sent};
pub use tunnel::Tunnel;
