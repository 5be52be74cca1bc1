//! The engine's tests: a file a part of the rules.

#[allow(clippy::wildcard_imports, reason = "the parts ask the whole engine")]
use super::*;

mod explain;
mod intent;
mod moments;
mod random;
mod rules;
mod tiers;
pub(super) mod world;
