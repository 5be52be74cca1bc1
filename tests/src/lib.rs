//! The harness of the tests against the real kernel: namespaces that are removed when a test ends, the binary as a user runs it,
//! a real API server, a real NATS server, and skips that say why.

mod apiserver;
mod binary;
mod ear;
mod fleet;
mod nats;
mod node;
mod outpost;
mod program;
mod residue;
mod traffic;
mod world;

pub use apiserver::{ApiServer, Follower};
pub use binary::{Npv, Ran, Running, StandingLab, binary};
pub use ear::{Ear, ONLY_PODS, cookie, netns, prober, prober_over};
pub use fleet::Fleet;
pub use nats::{NatsServer, RawNats, Setup};
pub use node::{Container, Node};
pub use outpost::Outpost;
pub use program::write_program;
pub use traffic::{ask, ask_planned, flood, probe};
pub use world::{Pair, as_root};
