//! Ways in which real CNIs failed, as named changes to the rules of the lab's own enforcer.
//!
//! Each is told twice and independently: `mutation` changes the rules, and [`touched`]
//! says by the literal reading which attempts that must flip. A test on real packets holds the two together.

mod catalogue;
mod mutation;
mod prediction;

pub use catalogue::{Fault, FaultClass, ParseFaultError};
pub use prediction::{Effect, touched};
