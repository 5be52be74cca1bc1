//! Faults of reading: the enforcer is right, and the cluster that it sees is another one.
//!
//! The misread cluster goes to the enforcer's rules by one reading of the policies and to the prediction by the other; what
//! each misreading does to a policy is pinned in `tests`.

mod peers;
mod pods;
mod policies;
mod ports;
mod selectors;
#[cfg(test)]
mod tests;

pub(super) use peers::PeerMisreading;
pub(super) use pods::PodMisreading;
pub(super) use policies::PolicyMisreading;
pub(super) use ports::PortMisreading;
pub(super) use selectors::SelectorMisreading;
