//! Why a node does not translate Services.

use std::{io, path::PathBuf, process::ExitStatus};

use crate::lab::NetnsError;

/// A node cannot be made to translate Services.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Its namespace, or `nft` in it.
    #[error("Services of the lab: {0}")]
    Netns(#[from] NetnsError),
    /// The kernel does not show bridged packets.
    #[error(
        "cannot set {path} in {netns}, without which answers of Services are not translated back: {source}; load br_netfilter"
    )]
    Switch {
        /// The namespace.
        netns: String,
        /// The switch.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `nft` refuses the rules.
    #[error("nft on node {node} refuses the rules of Services ({status}): {message}")]
    Refused {
        /// The node.
        node: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        message: String,
    },
}
