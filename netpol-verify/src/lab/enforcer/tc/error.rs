//! Why programs could not be loaded, told or attached.

use std::io;

use aya::{
    EbpfError,
    maps::MapError,
    programs::{ProgramError, tc},
};

use crate::lab::NetnsError;

/// The enforcer by TC could not do its work on a node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TcError {
    /// The kernel refused the object.
    #[error("loading its eBPF object: {0}; this needs CAP_BPF and CAP_NET_ADMIN, and Linux 5.17")]
    Object(#[source] Box<EbpfError>),
    /// The object lacks a part.
    #[error("its eBPF object has no {0}; rebuild it with `cargo xtask build-ebpf`")]
    Missing(&'static str),
    /// The kernel refused a program.
    #[error("loading the program {program}: {source}; it needs Linux 5.17 (bpf_loop)")]
    Program {
        /// Its name.
        program: &'static str,
        /// Why.
        source: Box<ProgramError>,
    },
    /// The kernel refused to attach a program.
    #[error("attaching {program} to {interface}: {source}")]
    Attach {
        /// The program.
        program: &'static str,
        /// The interface.
        interface: String,
        /// Why.
        source: Box<ProgramError>,
    },
    /// The clsact qdisc could not be made, where the kernel has no TCX.
    #[error("adding the clsact qdisc to {interface}: {source}")]
    Clsact {
        /// The interface.
        interface: String,
        /// Why.
        source: Box<tc::TcError>,
    },
    /// A map does not take what it should.
    #[error("writing the map {map}: {source}")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        source: Box<MapError>,
    },
    /// The node's end of a pod's link is not there.
    #[error("no interface {interface}: {source}; is the lab still up?")]
    Interface {
        /// Its name.
        interface: String,
        /// Why.
        source: io::Error,
    },
    /// The policies come to more rules than fit.
    #[error("the policies come to {found} rules and {limit} fit; take the enforcer nftables for so many")]
    TooMany {
        /// How many.
        found: usize,
        /// How many fit.
        limit: u32,
    },
    /// The node's network namespace cannot be entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
}
