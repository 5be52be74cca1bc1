//! The vocabulary every stage shares: protocols, families, identities, time. Knows neither packets nor Kubernetes.

mod attempt;
mod clock;
mod cookie;
mod identity;
mod protocol;

pub use attempt::{AttemptKey, HASHED_PAYLOAD, payload_hash};
pub use clock::{Clock, KernelTime, micros};
pub use cookie::netns_cookie_here;
pub use identity::{Ifindex, Netns, NetnsCookie, NodeId};
pub use protocol::{Family, ParseProtocolError, Protocol};
