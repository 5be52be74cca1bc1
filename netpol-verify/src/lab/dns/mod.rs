//! The name server that stands in for kube-dns: real DNS over UDP and TCP on both families, inside a pod's namespace.
//!
//! It answers A and AAAA for `<pod>.<namespace>.pod.lab.` and says that no other name exists. It lives in the process that started
//! it and ends with its handle: `lab up` cannot leave one behind, so `lab verify` starts it anew.

mod server;
#[cfg(test)]
mod tests;
mod zone;

pub use server::{DNS_POD, DNS_PORT, DnsError, DnsServer};
pub use zone::{DNS_DOMAIN, Zone};
