//! One judged attempt in plain words: what findings are made of, and a line of a report's `attempts[]`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::net::{Family, Protocol};

/// What the policies require of an attempt, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Expected {
    /// A conformant CNI must let it through.
    Allow,
    /// A conformant CNI must stop it.
    Deny,
    /// The API leaves it open; `by` says why.
    Unspecified,
}

/// What the packets of an attempt did, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Observed {
    /// The first packet reached the destination's interface.
    Delivered,
    /// It reached the destination, whose answer never came back.
    ReplyLost,
    /// The source got an RST or an ICMP error that the destination did not send.
    Rejected,
    /// The kernel freed it on the way, and was seen doing so.
    Dropped,
    /// It left the source and nothing more was seen, by sensors that lost nothing.
    Unanswered,
    /// It cannot be told.
    Unknown,
}

/// Whether the packets had to cross from one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// Both ends are on one node.
    SameNode,
    /// The ends are on two nodes, or one is outside.
    CrossNode,
}

/// What kind of drop was seen; only `policy` can be enforcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DropKind {
    /// Netfilter, TC, XDP, cgroup programs, OVS: where enforcers work.
    Policy,
    /// Address resolution failed or its queue was full.
    Neighbour,
    /// No route, reverse path filter, TTL.
    Routing,
    /// Broken packet, no memory, device down.
    Device,
    /// Nothing listens in the pod itself.
    Endpoint,
    /// The kernel gave no reason, or one this version does not know.
    Unclassified,
}

/// One attempt, what was required of it, what became of it, and what follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JudgedAttempt {
    /// The stage it belongs to, by name.
    pub stage: String,
    /// Who opened it: `namespace/name` of a pod, a node's name, or an address.
    pub from: String,
    /// Whom it was for, likewise.
    pub to: String,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The destination port at the pod.
    pub port: u16,
    /// The address family.
    pub family: Family,
    /// Whether it crossed nodes.
    pub path: Path,
    /// What the policies require.
    pub expected: Expected,
    /// Who decides that: rules that allow, policies that deny, or why the API leaves it open.
    pub by: Vec<String>,
    /// What the packets did.
    pub observed: Observed,
    /// Where and why, as far as the packets and the kernel tell.
    pub reason: Option<String>,
    /// The kind of drop, where one was seen.
    pub drop_kind: Option<DropKind>,
    /// The first packet was stopped and only its retransmission got through.
    pub only_retransmission: bool,
    /// What follows.
    pub verdict: Verdict,
    /// From the first packet to the moment the verdict was certain, in microseconds.
    pub latency_micros: Option<u64>,
}

#[cfg(test)]
impl JudgedAttempt {
    /// An attempt over TCP that had to be stopped and was delivered, for tests to change what they are about.
    pub(crate) fn example(from: &str, to: &str, verdict: Verdict) -> Self {
        Self {
            stage: String::new(),
            from: from.to_owned(),
            to: to.to_owned(),
            protocol: Protocol::Tcp,
            port: 80,
            family: Family::Ipv4,
            path: Path::SameNode,
            expected: Expected::Deny,
            by: Vec::new(),
            observed: Observed::Delivered,
            reason: None,
            drop_kind: None,
            only_retransmission: false,
            verdict,
            latency_micros: None,
        }
    }
}

impl JudgedAttempt {
    /// Whether it is not as it must be, or cannot be told.
    #[must_use]
    pub const fn is_doubtful(&self) -> bool {
        self.verdict.is_violation() || matches!(self.verdict, Verdict::Inconclusive)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Unspecified => "unspecified",
        })
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delivered => "delivered",
            Self::ReplyLost => "reply lost",
            Self::Rejected => "rejected",
            Self::Dropped => "dropped",
            Self::Unanswered => "unanswered",
            Self::Unknown => "unknown",
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameNode => "same node",
            Self::CrossNode => "cross node",
        })
    }
}
