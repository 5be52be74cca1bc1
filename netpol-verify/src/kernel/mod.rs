//! Facts of the running kernel that are read, never assumed: its type information and its symbols.

mod btf;
mod facts;
mod symbols;

pub use btf::{Btf, BtfError};
pub use facts::{DropReasons, KernelFacts, Offsets};
pub use symbols::Symbols;
