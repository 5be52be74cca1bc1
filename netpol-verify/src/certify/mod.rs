//! Certifying a cluster: pods of its own, policies of a suite, probes, and nothing left behind.

mod api;
mod error;
mod lease;
mod tunnel;

pub use error::CertifyError;
