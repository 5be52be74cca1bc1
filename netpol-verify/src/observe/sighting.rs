//! One packet seen at one vantage point.

use std::net::SocketAddr;

use super::reason::DropClass;
use crate::net::{AttemptKey, Ifindex, KernelTime, NetnsCookie};

/// One packet seen at one vantage point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When.
    pub time: KernelTime,
    /// In which network namespace.
    pub netns: NetnsCookie,
    /// On which device.
    pub ifindex: Ifindex,
    /// At which vantage point.
    pub at: Where,
    /// How many like it were folded into it.
    pub folded: u32,
    /// What it was.
    pub packet: Packet,
}

/// The vantage points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// It left the pod.
    Sent,
    /// It reached the pod, addressed to the pod's link address.
    Delivered,
    /// It reached the pod's interface but is for another machine: a bridge flooded it. Not a delivery.
    Flooded,
    /// The kernel freed it.
    Dropped(Dropped),
}

/// Why and where the kernel freed a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The reason by the running kernel's name.
    pub reason: String,
    /// The kernel function that freed it, where symbols are readable.
    pub location: Option<String>,
    /// What kind of drop that is.
    pub class: DropClass,
}

/// What a packet means for attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A SYN or INIT: an attempt's first packet or its retransmission.
    First {
        /// Which attempt.
        key: AttemptKey,
        /// Whom it is for, as seen here.
        to: SocketAddr,
    },
    /// A datagram: an attempt, or an answer to one the other way.
    Datagram {
        /// As an attempt of its own.
        key: AttemptKey,
        /// Whom it is for, as seen here.
        to: SocketAddr,
    },
    /// An answer to a SYN or INIT.
    Answer {
        /// What it says.
        kind: AnswerKind,
        /// Which attempt it answers.
        to: AttemptKey,
        /// Who sent it, as seen here.
        from: SocketAddr,
    },
    /// An ICMP error about an attempt.
    Error {
        /// Which attempt.
        about: AttemptKey,
        /// The ICMP code.
        code: u8,
    },
    /// A packet that says nothing of an attempt: FIN, an RST of an established connection, ping.
    Other,
}

/// Kinds of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// SYN-ACK or INIT-ACK.
    Accept,
    /// RST or ABORT.
    Refuse,
}
