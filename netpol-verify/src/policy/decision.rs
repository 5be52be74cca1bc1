//! The question put to the policies and the answer with its reason.

use std::{fmt, net::IpAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{cluster::ObjectName, net::Protocol};

/// A direction of a policy, seen from the pod it selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Towards the selected pod.
    Ingress,
    /// From the selected pod.
    Egress,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

/// One end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// A pod, at one of its addresses.
    Pod {
        /// Which pod.
        name: ObjectName,
        /// The address used in this attempt.
        address: IpAddr,
    },
    /// A node's own address (or a hostNetwork pod's), by node name.
    Node {
        /// The node.
        name: String,
        /// The address used.
        address: IpAddr,
    },
    /// An address outside the cluster.
    Address(IpAddr),
}

impl End {
    /// The address the packets carry.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        match self {
            Self::Pod { address, .. } | Self::Node { address, .. } | Self::Address(address) => *address,
        }
    }
}

/// The question: may this connection be opened? Ports are the destination pod's, after Service translation (R19).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Traffic {
    /// Who opens it.
    pub from: End,
    /// Whom it is for.
    pub to: End,
    /// The protocol.
    pub protocol: Protocol,
    /// The destination port at the pod.
    pub port: u16,
}

/// What the policies require of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "expect", content = "rule")]
pub enum Expectation {
    /// A conformant CNI must let it through.
    Allow,
    /// A conformant CNI must stop it.
    Deny,
    /// The API leaves it open; the rule says why.
    Unspecified(Unspecified),
}

/// Why the API leaves an attempt open (`semantics.md` in the team's notes; the numbers are the rules there).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Unspecified {
    /// R13: whether ipBlock sees addresses before or after translation.
    NatRewriting,
    /// R22: a pod towards its own node.
    PodToOwnNode,
    /// R23: a pod to itself.
    Loopback,
    /// R24: a hostNetwork pod, as subject or as peer.
    HostNetwork,
    /// The pod is unknown, over, or has no such address, so that nothing can be required of it (R28).
    UnknownEnd,
}

impl Unspecified {
    /// One clause that says why.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::NatRewriting => {
                "the API does not say whether ipBlock sees addresses before or after NAT (R13)"
            }
            Self::PodToOwnNode => "the API does not say whether a pod may be kept from its own node (R22)",
            Self::Loopback => "a pod's traffic to itself is not subject to policy (R23)",
            Self::HostNetwork => "policies on hostNetwork pods are undefined (R24)",
            Self::UnknownEnd => "an end is no live pod, node or outside address (R28)",
        }
    }
}

/// A policy, by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PolicyRef(pub ObjectName);

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct RuleRef {
    /// The policy.
    pub policy: PolicyRef,
    /// The direction's list it is in.
    pub direction: Direction,
    /// The index in `spec.ingress` or `spec.egress`.
    pub index: usize,
}

impl fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}[{}]", self.policy, self.direction, self.index)
    }
}

/// One direction's part of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// The policies that isolate the pod in this direction, those without any rule for it first; none means the pod is
    /// open.
    pub isolating: Vec<PolicyRef>,
    /// How many of them, from the front, have no rule for it at all: the default denies.
    pub bare: usize,
    /// The rules that let this attempt through.
    pub allowing: Vec<RuleRef>,
}

impl Side {
    /// The policies to name for a denial: the default denies where there are some, since the others only fail to allow.
    fn denying(&self) -> impl Iterator<Item = &PolicyRef> {
        let named = if self.bare > 0 {
            self.bare
        } else {
            self.isolating.len()
        };
        self.isolating.iter().take(named)
    }

    /// Whether this side lets the attempt through.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.isolating.is_empty() || !self.allowing.is_empty()
    }
}

/// The answer: what is required, and who decides, for each side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is required.
    pub expectation: Expectation,
    /// The source pod's egress.
    pub egress: Side,
    /// The destination pod's ingress.
    pub ingress: Side,
}

impl Decision {
    /// Who decides, in words: for Allow the rules that let it through (or that nothing isolates a side),
    /// for Deny the default denies of each closed side, or where there are none all policies that isolate it.
    #[must_use]
    pub fn by(&self) -> Vec<String> {
        match self.expectation {
            Expectation::Unspecified(rule) => vec![rule.why().to_owned()],
            Expectation::Allow => [&self.egress, &self.ingress]
                .into_iter()
                .flat_map(|side| side.allowing.iter().map(ToString::to_string))
                .collect(),
            Expectation::Deny => [
                (Direction::Egress, &self.egress),
                (Direction::Ingress, &self.ingress),
            ]
            .into_iter()
            .filter(|(_, side)| !side.is_open())
            .flat_map(|(direction, side)| {
                side.denying()
                    .map(move |policy| format!("{policy} ({direction})"))
            })
            .collect(),
        }
    }
}
