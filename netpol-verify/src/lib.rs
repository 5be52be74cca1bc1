//! Are the NetworkPolicies you applied really enforced? The answer, from packets.
//!
//! ```text
//!  kernel, one per node               sensor (per node, no API rights)       verifier
//!  pod eth0 tcx egress  -- sent ------+
//!  pod eth0 tcx ingress -- delivered -+-> ring -> batch of raw records -> bus -> observe -> flow ---+
//!  kfree_skb tp_btf     -- dropped ---+   + losses, announcements             decode     attempts   |
//!                                                                                                   v
//!  manifests or API server -> cluster (snapshots) -> policy (what must happen) ----------------> judge -> finding -> report
//! ```
//!
//! One module a stage, and the arrows point one way only (a test reads the `use` lines):
//!
//! - [`net`]: addresses, protocols, identities and the one clock; everything may use it.
//! - [`kernel`]: facts read from the running kernel: type information, names of drop reasons, symbols.
//! - [`sensor`]: loads the eBPF object, finds and follows network namespaces, moves raw records; sends probes.
//! - [`bus`]: carries batches, announcements, questions and calls between sensors and verifiers: in-process, or by NATS.
//! - [`observe`]: a raw record becomes a [`observe::Sighting`]; names of drop reasons come from the running kernel.
//! - [`flow`]: sightings of one attempt are joined by source and sequence number into an [`flow::Outcome`].
//! - [`cluster`]: pods, namespaces and policies as snapshots with generations; the door for Kubernetes types.
//! - [`policy`]: what the policies require, as a pure function with the reason in its answer.
//! - [`judge`]: expectation and outcome side by side, and the verdict, one exhaustive table.
//! - [`finding`]: verdicts of one kind gathered under a stable code.
//! - [`report`]: the run, as a table or as JSON.
//! - [`oracle`]: what people ask without packets: who may reach whom, why, and what a change opens.
//! - [`lint`]: what is valid and surely wrong in policies, without packets.
//! - [`lab`]: a virtual cluster of network namespaces with enforcers, correct and faulty.
//! - [`suite`]: scenarios and conformance cases as data, and the runner.
//! - [`verifier`]: what sensors say joined with what the API says, for probes and for everybody's traffic.
//! - [`certify`]: a suite on a real cluster, and nothing left behind.
//! - [`cli`]: one file a command.

pub mod bus;
mod causes;
pub mod certify;
pub mod cli;
pub mod cluster;
pub mod finding;
pub mod flow;
pub mod judge;
pub mod kernel;
pub mod lab;
pub mod lint;
pub mod net;
pub mod observe;
pub mod oracle;
#[cfg(test)]
mod pinned;
pub mod policy;
mod random;
pub mod report;
pub mod sensor;
pub mod suite;
pub mod verifier;
