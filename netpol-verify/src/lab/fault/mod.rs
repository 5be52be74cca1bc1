//! Ways in which real CNIs failed, as named changes to the lab's own enforcer.
//!
//! ```text
//!  what the enforcer is told -> memory, misread (what it takes the cluster to be) -> rules -> gates, accepts, engine, services -> nft
//! ```
//!
//! Each is told twice and independently: once as what it does to the enforcer, and [`Prediction`] says by the literal reading which
//! attempts must flip. A test on real packets holds the two together. `catalogue` is the list; a family of mechanisms has a
//! folder. Nothing outside the lab knows a fault: what is judged are packets.

mod accepts;
mod attempt;
mod catalogue;
mod engine;
mod entry;
mod gates;
mod memory;
mod misread;
mod policies;
mod prediction;
mod services;
mod wrong;

pub use attempt::{Question, Through};
pub use entry::{Change, Fault, FaultClass, Harm, ParseFaultError, Shown};
pub(crate) use memory::Memory;
pub use prediction::{Effect, Predicted, Prediction};
pub(crate) use wrong::plans;
