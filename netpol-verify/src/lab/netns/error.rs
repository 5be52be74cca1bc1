//! What can go wrong with a network namespace; each says which one and what to do.

use std::io;

/// A network namespace could not be made, entered or removed.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// The kernel refuses to make one.
    #[error(
        "cannot make the network namespace {name}: {step}: {source}; run as root (CAP_SYS_ADMIN and CAP_NET_ADMIN)"
    )]
    Create {
        /// Its name.
        name: String,
        /// What failed.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// There is one of that name already.
    #[error(
        "the network namespace {name} exists already; remove it with `ip netns del {name}` or `netpol-verify lab --clean`"
    )]
    Exists {
        /// Its name.
        name: String,
    },
    /// There is none of that name.
    #[error(
        "there is no network namespace {name}: {source}; was the lab removed meanwhile? Run `netpol-verify lab --clean`, then `lab up`"
    )]
    Open {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The thread could not enter.
    #[error("cannot enter the network namespace {name}: {source}; run as root (CAP_SYS_ADMIN)")]
    Enter {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The work on the inside panicked or its thread did not start.
    #[error("work inside the network namespace {name} did not finish: {why}")]
    Work {
        /// Its name.
        name: String,
        /// What happened.
        why: String,
    },
    /// A program could not be run inside.
    #[error("cannot run {program} inside the network namespace {name}: {source}")]
    Command {
        /// Its name.
        name: String,
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A socket could not be opened or asked inside.
    #[error("no {what} inside the network namespace {name}: {source}")]
    Socket {
        /// Its name.
        name: String,
        /// The socket's purpose.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// It could not be removed.
    #[error("cannot remove the network namespace {name}: {source}")]
    Remove {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
}
