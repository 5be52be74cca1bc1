//! The codes of findings: a number is given once, never reused, and its row says what to do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DropKind, Expected, JudgedAttempt, Observed, Verdict};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Traffic that the policies deny gets through.
    Critical,
    /// Traffic that the policies allow does not.
    High,
    /// Something stands in the way of an answer.
    Warning,
    /// Worth knowing, nothing is broken.
    Info,
}

/// A kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The stable number.
    pub id: &'static str,
    /// The stable word.
    pub slug: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The next step.
    pub what_to_do: &'static str,
}

const LEAK: Code = Code {
    id: "NPV001",
    slug: "leak",
    title: "Denied traffic was delivered",
    severity: Severity::Critical,
    what_to_do: "The CNI does not enforce these policies here. See that it has a policy engine at all, that the engine \
                 runs on both nodes, and that it supports this direction, family and path.",
};

const OVERBLOCK: Code = Code {
    id: "NPV002",
    slug: "overblock",
    title: "Allowed traffic was stopped",
    severity: Severity::High,
    what_to_do: "An enforcer stops what the policies let through. Compare its rules with the ones named here; look at \
                 the place of the drop for the program that made it.",
};

const REPLY_LOST: Code = Code {
    id: "NPV003",
    slug: "reply-lost",
    title: "The connection arrived, its answer did not return",
    severity: Severity::High,
    what_to_do: "Answers to an allowed connection are allowed. Look for connection tracking that is missing, full or \
                 not yet ready at the pod's start.",
};

const LOST_ON_THE_WAY: Code = Code {
    id: "NPV004",
    slug: "lost-on-the-way",
    title: "The packet was lost, but not by a policy",
    severity: Severity::Warning,
    what_to_do: "Address resolution, a route or the device lost it. Mend the network first: until then nothing is \
                 known of the policy on this path.",
};

const REJECTED: Code = Code {
    id: "NPV005",
    slug: "rejected-instead-of-dropped",
    title: "Denied traffic was refused with an answer",
    severity: Severity::Info,
    what_to_do: "Nothing to mend: the enforcer answers with a reset or an ICMP error instead of silence, which lets a \
                 client fail at once and tells it that something is there.",
};

const LATE_LEAK: Code = Code {
    id: "NPV006",
    slug: "leak-by-retransmission",
    title: "The first packet was stopped, its retransmission was delivered",
    severity: Severity::Critical,
    what_to_do: "A client that waits longer than a second gets through, and a tester that gives up earlier reports a \
                 clean deny. Look at how the engine treats connections that it has dropped once.",
};

const NOT_TOLD: Code = Code {
    id: "NPV007",
    slug: "inconclusive",
    title: "What became of the traffic cannot be told",
    severity: Severity::Warning,
    what_to_do: "Neither a pass nor a violation. The reason names what was missing: a sensor, lost records, or a probe \
                 that never left. Mend that and run again.",
};

const SOURCE_SPOOF: Code = Code {
    id: "NPV008",
    slug: "source-spoof",
    title: "A pod sent from an address that is not its own",
    severity: Severity::Warning,
    what_to_do: "Policies go by addresses in the end, so find out what the pod does: a router or a VPN may be meant to, \
                 anything else is an attack or a fault. Take NET_RAW and NET_ADMIN from it, and see that the CNI checks \
                 source addresses.",
};

/// Every code, by number.
pub const CODES: [Code; 8] = [
    LEAK,
    OVERBLOCK,
    REPLY_LOST,
    LOST_ON_THE_WAY,
    REJECTED,
    LATE_LEAK,
    NOT_TOLD,
    SOURCE_SPOOF,
];

impl Code {
    /// For a packet whose source address is not one of its pod's.
    pub const SPOOF: Self = SOURCE_SPOOF;

    /// The code an attempt falls under; none when nothing is to be said about it.
    #[must_use]
    pub fn of(attempt: &JudgedAttempt) -> Option<Self> {
        let by_network = matches!(
            attempt.drop_kind,
            Some(DropKind::Neighbour | DropKind::Routing | DropKind::Device | DropKind::Endpoint)
        );
        match (attempt.verdict, attempt.observed) {
            (Verdict::Leak, _) if attempt.only_retransmission => Some(LATE_LEAK),
            (Verdict::Leak, _) => Some(LEAK),
            (Verdict::Overblock, Observed::ReplyLost) => Some(REPLY_LOST),
            (Verdict::Overblock | Verdict::Inconclusive, Observed::Dropped) if by_network => {
                Some(LOST_ON_THE_WAY)
            }
            (Verdict::Overblock, _) => Some(OVERBLOCK),
            (Verdict::Inconclusive, _) => Some(NOT_TOLD),
            (Verdict::Enforced, Observed::Rejected) if attempt.expected == Expected::Deny => Some(REJECTED),
            (Verdict::Enforced | Verdict::Permitted | Verdict::Unspecified, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn codes_count_up_and_words_are_their_own() {
        for (index, code) in CODES.iter().enumerate() {
            assert_eq!(code.id, format!("NPV{:03}", index + 1));
            assert!(
                CODES.iter().filter(|other| other.slug == code.slug).count() == 1,
                "{}",
                code.slug
            );
            assert!(
                code.what_to_do.ends_with('.'),
                "{} has no sentence that says what to do",
                code.id
            );
            assert!(
                !code.what_to_do.contains("  "),
                "{} has a gap in its advice",
                code.id
            );
        }
    }
}
