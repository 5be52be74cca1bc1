//! A real API server with its etcd, in a network namespace of its own; nothing of it is left when it is dropped.
//!
//! No controller and no scheduler run: pods stay as they are written, `default` has no service account (so pods say
//! `automountServiceAccountToken: false`), and what is deleted from a namespace that ends stays. RBAC is on.

mod credentials;
mod faults;
mod follow;
pub(crate) mod programs;
pub(crate) mod residue;
mod server;

pub use follow::Follower;
pub use server::ApiServer;
