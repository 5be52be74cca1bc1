//! A virtual cluster of network namespaces, with enforcers that are correct or wrong in a known way.
//!
//! - [`world`]: what an enforcer is shown of the virtual cluster.
//! - [`literal`]: the second reading of the policies, sentence by sentence, which drives the correct enforcer.
//! - [`enforcer`]: `none`, `nftables`, or a program of the user's.
//! - [`fault`]: the known ways to be wrong, and which attempts each of them touches.

#[cfg(test)]
mod agreement;
pub mod enforcer;
pub mod fault;
pub mod literal;
pub mod world;

pub use world::{LabNode, LabPod, World};
