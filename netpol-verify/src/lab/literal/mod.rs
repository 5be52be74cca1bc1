//! The second reading of NetworkPolicy v1: slow, literal, one function a sentence of the API's own text.
//!
//! It shares nothing with the engine of stage `policy` but the parsed objects, so that one misreading cannot
//! hide on both sides. [`permits`] answers one question; [`flatten()`] answers all of them at once in the terms
//! of a packet filter, for the lab's enforcer. A property test holds the two together.
//!
//! What a valid API server would have refused (an unknown operator, a block that does not parse) is read as
//! matching nothing: an enforcer that cannot read a rule must not open anything for it.

mod block;
mod flatten;
#[cfg(test)]
pub(crate) mod generate;
mod peer;
mod port;
mod reading;
mod rule;
mod selector;
#[cfg(test)]
mod tests;

pub use block::Block;
pub use flatten::{Accept, Origin, Peers, PodPostures, Ports, Posture, flatten};
pub use port::PortRange;
pub use reading::{Party, Reading, Undefined, permits};
pub use rule::{Way, isolating, without_rules};
