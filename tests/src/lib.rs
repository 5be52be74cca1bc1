//! The harness of the tests against the real kernel: namespaces that are removed when a test ends, the binary as a user runs it,
//! and skips that say why.

mod binary;
mod residue;
mod world;

pub use binary::{Npv, Ran, Running, StandingLab, binary};
pub use world::{Pair, as_root};
