//! Services in the virtual cluster: what kube-proxy does on a real node, by nftables on each of the lab's.
//!
//! ```text
//!  Services, slices -- plan -> doors of a node: address, port -> pods behind it -- render -> nft -f - in each node
//! ```
//!
//! This is part of the cluster and none of its enforcers: what a packet's destination is translated to is decided before any
//! policy sees it, in tables of its own, `ip npv_service` and `ip6 npv_service`.

mod error;
mod load;
mod plan;
mod render;
#[cfg(test)]
mod tests;

pub use error::ProxyError;
pub use load::Proxy;
#[cfg(test)]
pub(in crate::lab) use plan::Side;
pub(in crate::lab) use plan::{Door, doors};
