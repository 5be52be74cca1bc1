//! The lab's enforcer by TC, as Cilium, Calico's eBPF and AWS have it: programs on the node's end of each pod's link.
//!
//! ```text
//!  NodePlan -- compile, services (a list of rules a gate) -- program (maps, attached classifiers) -- packets: pass, or TC_ACT_SHOT
//! ```
//!
//! Its object is `bpf/lab-enforcer.bpf.o`, which only the lab loads. The sensor's is another one, and never drops or alters a
//! packet.

mod compile;
#[cfg(test)]
mod compile_tests;
mod enforce;
mod error;
mod program;
mod services;

pub use enforce::Tc;
pub use error::TcError;
