//! A real Kubernetes, certified. `cargo xtask cluster test` starts one for each CNI and runs the module that is for it:
//! these tests are not part of `cargo xtask test`, because building that Kubernetes takes a quarter of an hour.

/// Calico, alive and dead.
mod calico;
/// CNIs that accept policies and enforce none: the bridge plugin, Flannel.
mod leaky;
/// The verifier in the cluster.
mod service;
/// The cluster, and `certify` on it.
mod testbed;
