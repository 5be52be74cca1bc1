//! A named network namespace, as `ip netns` makes them, and ways to do things inside it.

mod error;
mod namespace;
#[cfg(test)]
mod tests;

pub use error::NetnsError;
pub use namespace::{NETNS_DIR, Netns};
