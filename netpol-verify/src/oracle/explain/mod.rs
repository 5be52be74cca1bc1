//! A question answered with its reasons: each connection that it stands for, who decides, and what would change it.

mod answer;
mod document;
mod text;

pub use answer::Explained;
pub use document::{json, schema};
pub use text::text;

#[cfg(test)]
mod tests;
