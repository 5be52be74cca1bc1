//! A raw record becomes a sighting. Kernel bytes are hostile: length before read, an error per kind of damage.

mod decode;
mod reason;
mod sighting;

pub use decode::{Damage, Decoder};
pub use reason::{DropClass, classify};
pub use sighting::{AnswerKind, Dropped, Packet, Sighting, Where};
