//! What can go wrong when links, addresses and routes are made.

use std::{io, path::PathBuf};

use crate::lab::NetnsError;

/// A link, address, route or sysctl could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// The namespace itself.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// The kernel refused a netlink request.
    #[error("cannot {step} in the network namespace {netns}: {source}")]
    Netlink {
        /// The namespace.
        netns: String,
        /// What was asked.
        step: String,
        /// Why not.
        source: rtnetlink::Error,
    },
    /// There is no such interface.
    #[error("there is no interface {interface} in the network namespace {netns}")]
    NoInterface {
        /// The namespace.
        netns: String,
        /// The interface.
        interface: String,
    },
    /// A sysctl refuses.
    #[error("cannot write {value:?} to {} in the network namespace {netns}: {source}; is /proc/sys writable?", path.display())]
    Sysctl {
        /// The namespace.
        netns: String,
        /// The file.
        path: PathBuf,
        /// The value.
        value: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A CNI plugin says no.
    #[error("the CNI plugin {} {verb} failed for {netns}: {why}; remove it to let the lab wire by itself", plugin.display())]
    Plugin {
        /// The program.
        plugin: PathBuf,
        /// ADD or DEL.
        verb: &'static str,
        /// The pod's namespace.
        netns: String,
        /// Its own words, escaped.
        why: String,
    },
}
