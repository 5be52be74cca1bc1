//! Enforcers: what makes the virtual cluster obey its policies, or fail to.
//!
//! ```text
//!  World -- literal::flatten -> rules (one NodePlan a node) -- Fault::mutate -> render -> nft -f - in each node
//!        |                                                 \- render_iptables -> ipset and iptables-legacy
//!        |                                                 \- tc: lists of rules -> eBPF maps
//!        \- view (JSON line) -> a program of the user's -> {"generation":N}
//! ```
//!
//! - [`Nftables`]: correct, or wrong by one [`Fault`](super::fault::Fault).
//! - [`Iptables`]: the same rules by iptables and ipset.
//! - [`Tc`]: the same rules by eBPF programs at the TC hooks.
//! - [`External`]: any program that reads the cluster as JSON lines.
//! - [`AnyEnforcer`]: the choice that a command line names.

mod any;
mod command;
pub(crate) mod engine;
mod error;
mod escape;
mod external;
#[cfg(test)]
mod external_tests;
mod iptables;
mod nftables;
mod render;
mod render_engine;
mod render_iptables;
pub(crate) mod rules;
mod tc;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_replaced;
mod tool;
mod view;

use std::future::Future;

pub use any::{AnyEnforcer, EnforcerSpec, ParseEnforcerError};
pub use error::{EnforcerError, ProgramTrouble};
pub use external::External;
pub use iptables::Iptables;
pub use nftables::Nftables;
pub(in crate::lab) use render::{keyword, plain, removal};
pub use tc::{Tc, TcError};
pub(in crate::lab) use tool::said;

use super::World;

/// Makes a virtual cluster obey its policies.
pub trait Enforcer: Send {
    /// Makes the world's policies hold; when it returns, new connections meet them.
    fn apply(&mut self, world: &World) -> impl Future<Output = Result<(), EnforcerError>> + Send;

    /// Takes back what was applied, and ends what was started.
    fn stop(&mut self) -> impl Future<Output = Result<(), EnforcerError>> + Send;
}
