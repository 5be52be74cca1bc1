//! What became of an attempt.

use crate::{
    net::{Ifindex, Netns},
    observe::DropClass,
};

/// What became of an attempt. `Unknown` is a value of its own and never folded into yes or no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first packet reached the destination pod's interface. An RST back from the pod is an answer too.
    Delivered {
        /// What became of the answer.
        reply: Reply,
        /// Whether the first packet of the tuple was stopped and a retransmission got through (antrea-io/antrea#219).
        only_retransmission: bool,
    },
    /// The source got an RST or ICMP error that the destination pod did not send.
    Rejected {
        /// How.
        by: Rejection,
    },
    /// The kernel freed the packet on its way.
    Dropped {
        /// Where and why.
        place: DropPlace,
    },
    /// The packet left the source and nothing more was seen, by sensors that lost nothing.
    Unanswered,
    /// It cannot be told.
    Unknown {
        /// Why not.
        why: UnknownCause,
    },
}

/// What became of the destination pod's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It reached the source pod.
    Returned,
    /// The destination pod sent it and it never reached the source pod.
    Lost {
        /// Where it was dropped, when that was seen.
        place: Option<DropPlace>,
    },
    /// The destination pod sent none (UDP needs not).
    NoneSeen,
}

/// How an attempt was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// TCP RST.
    TcpReset,
    /// ICMP or ICMPv6 destination unreachable, with its code.
    Unreachable {
        /// The ICMP code.
        code: u8,
    },
}

/// Where and why the kernel freed a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropPlace {
    /// The network namespace of the device the packet was on.
    pub netns: Netns,
    /// That device.
    pub ifindex: Ifindex,
    /// The reason's name from the running kernel: `NETFILTER_DROP`; `unknown(N)` when it has none.
    pub reason: String,
    /// The function that freed it, when kernel symbols are readable.
    pub location: Option<String>,
    /// What kind of drop it is.
    pub class: DropClass,
}

/// Why an outcome cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownCause {
    /// The first packet was not seen leaving: a probe that failed to leave is never "blocked".
    NotSent {
        /// Where it was dropped before it left, when that was seen.
        place: Option<DropPlace>,
    },
    /// The destination's interface was not watched for the whole window.
    DestinationNotWatched,
    /// The source's interface was not watched for the whole window.
    SourceNotWatched,
    /// An answer came back, and the destination pod did not see the attempt: somebody on the way accepted in its place
    /// (a sidecar, a proxy, a cache on the node). Its own connection onwards is another attempt.
    AnsweredByAnother,
    /// Records were lost in the window; how many, and at which step.
    RecordsLost {
        /// How many.
        count: u64,
        /// At which step: `ring full`, `throttled`, …
        step: &'static str,
    },
    /// The window is still open.
    Pending,
}
