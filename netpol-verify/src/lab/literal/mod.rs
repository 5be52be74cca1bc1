//! The second reading of the policies: slow, literal, one function a sentence of the specifications' own text.
//!
//! It shares nothing with the engine of stage `policy` but the parsed objects, so that one misreading cannot
//! hide on both sides. [`permits`] answers one question, of NetworkPolicy v1 and of both tiers of `policy.networking.k8s.io`
//! around it; [`flatten()`] answers all of them at once in the terms of a packet filter, for the lab's enforcers.
//! A property test holds the two together, another one holds [`permits`] and the engine together.
//!
//! Where a specification leaves something open, all its possibilities are followed to the end, and only if they end
//! differently is the answer [`Reading::Undefined`].
//!
//! What a valid API server would have refused (an unknown operator, a block that does not parse) is read as
//! matching nothing: an enforcer that cannot read a rule must not open anything for it.

mod admin_rule;
mod block;
mod flatten;
mod flatten_admin;
#[cfg(test)]
pub(crate) mod generate;
#[cfg(test)]
mod generate_admin;
#[cfg(test)]
mod generate_pod;
#[cfg(test)]
mod generate_policy;
#[cfg(test)]
mod generate_words;
mod network_policy;
mod peer;
mod port;
mod possible;
mod posture;
mod reading;
mod rule;
mod selector;
mod side;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_open;
#[cfg(test)]
mod tests_peers;
#[cfg(test)]
mod tests_tiers;
#[cfg(test)]
mod tests_world;
mod tier;

pub use block::Block;
pub use flatten::flatten;
pub(in crate::lab) use peer::selects;
pub use port::PortRange;
pub use posture::{Accept, Isolation, Origin, Peers, PodPostures, Ports, Posture, Ruling};
pub use reading::{Reading, Undefined, permits};
pub use rule::{Way, isolating, without_rules};
pub use side::Party;
