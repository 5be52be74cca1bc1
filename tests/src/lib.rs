//! The harness of the tests against the real kernel: namespaces that are removed when a test ends, and skips that say why.

mod ear;
mod traffic;
mod world;

pub use ear::{Ear, cookie, prober, prober_over};
pub use traffic::{ask, ask_planned, flood, probe};
pub use world::{Pair, as_root};
