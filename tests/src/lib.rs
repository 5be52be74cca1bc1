//! The harness of the tests against the real kernel: namespaces that are removed when a test ends, and skips that say why.

mod world;

pub use world::{Pair, as_root};
