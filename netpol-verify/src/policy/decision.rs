//! The question put to the policies and the answer with its reason.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cluster::{Action, AdminKind, ObjectName},
    net::Protocol,
};

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
        /// The address used in this attempt; `None` for a pod that has none yet, as a workload's template.
        address: Option<IpAddr>,
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
    /// The address the packets carry, where it is known.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Pod { address, .. } => address.map(|address| address.to_canonical()),
            Self::Node { address, .. } | Self::Address(address) => Some(address.to_canonical()),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod { name, .. } => name.fmt(f),
            Self::Node { name, .. } => write!(f, "node {name}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// An address translation on the way, of which the API does not say on which side of it policies look (R13, R20).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Translation {
    /// What was dialled: a Service's address or a node's, and the port there.
    pub dialled: Option<SocketAddr>,
    /// The addresses that the destination may see instead of the source's own: those of nodes that rewrite it.
    pub rewritten: Vec<IpAddr>,
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
    /// What is translated on the way, where it goes through a Service or a node's port.
    pub via: Option<Translation>,
}

impl Traffic {
    /// A question about a connection that nothing translates.
    #[must_use]
    pub const fn direct(from: End, to: End, protocol: Protocol, port: u16) -> Self {
        Self {
            from,
            to,
            protocol,
            port,
            via: None,
        }
    }
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
    /// R13, R20: whether a pod that dials a port of another node is seen to dial that node, which translates it, or the pod
    /// behind (projectcalico/calico#9869).
    DialledNode,
    /// R22: a pod towards its own node.
    PodToOwnNode,
    /// R23: a pod to itself.
    Loopback,
    /// R24: a hostNetwork pod, as subject or as peer.
    HostNetwork,
    /// The pod is unknown, over, or has no such address, so that nothing can be required of it (R28).
    UnknownEnd,
    /// Several policies of administrators with one priority match and do not say the same.
    EqualPriority,
    /// A rule names domains, and nothing here resolves them.
    DomainName,
    /// A block may or may not hold the address that a pod will get.
    NoAddress,
    /// A pod is on no node yet, and whether the other end is on the same one decides (R21, R22).
    NoNode,
}

impl Unspecified {
    /// One clause that says why.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::NatRewriting => {
                "the API does not say whether ipBlock sees addresses before or after NAT (R13)"
            }
            Self::DialledNode => {
                "the API does not say whether egress to another node's port is to that node or to the pod behind it (R20)"
            }
            Self::PodToOwnNode => "the API does not say whether a pod may be kept from its own node (R22)",
            Self::Loopback => "a pod's traffic to itself is not subject to policy (R23)",
            Self::HostNetwork => "policies on hostNetwork pods are undefined (R24)",
            Self::UnknownEnd => "an end is no live pod, node or outside address (R28)",
            Self::EqualPriority => {
                "policies of equal priority match and do not say the same: any may be taken"
            }
            Self::DomainName => "a rule names domains, which are not judged",
            Self::NoNode => {
                "a pod is on no node yet, and whether it will share the other end's decides (R21, R22)"
            }
            Self::NoAddress => "a pod has no address yet, and an ipBlock may or may not hold the one it gets",
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

/// A policy of the cluster's administrators, by kind and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AdminRef {
    /// Its kind.
    pub kind: AdminKind,
    /// Its name.
    pub name: String,
}

/// One rule of an administrator's policy, and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AdminRuleRef {
    /// The policy.
    pub policy: AdminRef,
    /// The direction's list it is in.
    pub direction: Direction,
    /// The index in it.
    pub index: usize,
    /// What it does.
    pub action: Action,
}

impl fmt::Display for AdminRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl fmt::Display for AdminRuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}[{}] {}",
            self.policy, self.direction, self.index, self.action
        )
    }
}

/// One direction's part of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// What this side says by itself; `None` where there is no pod on it, so that nothing restricts it.
    pub answer: Option<Expectation>,
    /// The NetworkPolicies that isolate the pod in this direction, those without any rule for it first.
    pub isolating: Vec<PolicyRef>,
    /// How many of them, from the front, have no rule for it at all: the default denies.
    pub bare: usize,
    /// The rules of NetworkPolicies that let this attempt through.
    pub allowing: Vec<RuleRef>,
    /// The rules of administrators' policies that match, in the order they are asked. An Accept or Deny is the last.
    pub admin: Vec<AdminRuleRef>,
}

impl Side {
    /// Who closes a closed side: the administrators' rules that deny, else the default denies where there are some, since
    /// the other NetworkPolicies only fail to allow.
    fn denying(&self) -> Vec<String> {
        let denies: Vec<String> = self
            .admin
            .iter()
            .filter(|rule| rule.action == Action::Deny)
            .map(ToString::to_string)
            .collect();
        if !denies.is_empty() {
            return denies;
        }
        let named = if self.bare > 0 {
            self.bare
        } else {
            self.isolating.len()
        };
        self.isolating
            .iter()
            .take(named)
            .map(ToString::to_string)
            .collect()
    }

    /// Who opens an open side: a rule that accepts, or those that allow; nobody where nothing isolates.
    fn allowing(&self) -> Vec<String> {
        let accepts = self.admin.iter().filter(|rule| rule.action == Action::Accept);
        accepts
            .map(ToString::to_string)
            .chain(self.allowing.iter().map(ToString::to_string))
            .collect()
    }

    /// Whether this side lets the attempt through for certain.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.answer, None | Some(Expectation::Allow))
    }

    /// Whether this side stops the attempt for certain.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.answer == Some(Expectation::Deny)
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
    /// Who decides, in words: for Allow the rules that let it through (none where nothing isolates a side), for Deny the
    /// rules that deny and the default denies of each closed side, or where there are none all policies that isolate it.
    #[must_use]
    pub fn by(&self) -> Vec<String> {
        match self.expectation {
            Expectation::Unspecified(rule) => vec![rule.why().to_owned()],
            Expectation::Allow => [&self.egress, &self.ingress]
                .into_iter()
                .flat_map(Side::allowing)
                .collect(),
            Expectation::Deny => [
                (Direction::Egress, &self.egress),
                (Direction::Ingress, &self.ingress),
            ]
            .into_iter()
            .filter(|(_, side)| side.is_closed())
            .flat_map(|(direction, side)| {
                let named = side.denying().into_iter();
                named.map(move |policy| {
                    if policy.contains(' ') {
                        policy
                    } else {
                        format!("{policy} ({direction})")
                    }
                })
            })
            .collect(),
        }
    }
}
