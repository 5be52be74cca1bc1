//! What can go wrong on the way to NATS, and what to do about it.

use std::{io, path::PathBuf};

use crate::causes::causes;

/// NATS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The address makes no sense.
    #[error("{url:?} is no address of a NATS server: {cause}. Give nats://host:port")]
    Address {
        /// As it was given.
        url: String,
        /// Why not.
        cause: String,
    },
    /// A file of credentials cannot be read.
    #[error("cannot read {what} in {}: {cause}. See that the secret is mounted there", path.display())]
    File {
        /// What should be in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The authority's certificate makes no sense.
    #[error("{} holds no certificate of an authority that can be used: {cause}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// The server does not take the user or the password.
    #[error(
        "NATS at {url} refuses the user or the password: use the ones of its configuration, made by the same `secrets`"
    )]
    Refused {
        /// The server.
        url: String,
    },
    /// The server cannot prove who it is.
    #[error(
        "NATS at {url} does not prove who it is: {cause}. The authority's certificate must be that of the server's own, \
         and that for the right name"
    )]
    Untrusted {
        /// The server.
        url: String,
        /// Why not.
        cause: String,
    },
    /// That cannot be a node's name.
    #[error("{node:?} is no name of a node: letters, digits, `-` and `.` are")]
    NodeName {
        /// As it was given.
        node: String,
    },
    /// A step with the stream or its reader failed.
    #[error("{step} on NATS: {cause}{}", hint(cause))]
    Stream {
        /// The step.
        step: &'static str,
        /// Why.
        cause: String,
    },
    /// A stream of that name is somebody else's.
    #[error(
        "a stream {name} is there and not ours ({why}): give netpol-verify an account of its own in NATS"
    )]
    Foreign {
        /// Its name.
        name: &'static str,
        /// How one can tell.
        why: String,
    },
    /// A subscription failed.
    #[error("subscribing to {subject} on NATS: {cause}")]
    Subscribe {
        /// The subject.
        subject: String,
        /// Why.
        cause: String,
    },
}

impl NatsError {
    pub(super) fn step(step: &'static str) -> impl Fn(&dyn std::error::Error) -> Self {
        move |error| Self::Stream {
            step,
            cause: causes(error),
        }
    }
}

/// What an operator can do about the usual causes.
fn hint(cause: &str) -> &'static str {
    let cause = cause.to_ascii_lowercase();
    if cause.contains("jetstream not enabled") || cause.contains("no responders") {
        ". JetStream must be on in the server and for this account"
    } else if cause.contains("insufficient") {
        ". Give the server's JetStream more storage, or the stream less"
    } else if cause.contains("timed out") {
        ". The server is busy or the user may not use the JetStream API"
    } else {
        ""
    }
}
