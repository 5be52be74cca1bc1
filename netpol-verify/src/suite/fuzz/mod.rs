//! The fuzzer: random pods and policies, put to whoever enforces; and of what goes wrong, the least that still does.
//!
//! ```text
//!  seed, number -- draw -> manifests -- scene -> packets -- a violation -> shrink -> the fewest manifests, one attempt
//! ```
//!
//! A cluster is drawn as manifests and read through the door of all manifests, so that what is printed at the end is what was
//! played. Everything follows from the seed and the cluster's number.

mod asked;
mod cluster;
mod dice;
mod draw;
mod draw_policy;
mod hunt;
mod prune;
mod shrink;
#[cfg(test)]
mod tests;
mod words;

pub use hunt::{Fuzzing, fuzz};
