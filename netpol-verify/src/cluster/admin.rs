//! AdminNetworkPolicy, BaselineAdminNetworkPolicy and ClusterNetworkPolicy as one model: tiers of rules with actions.
//!
//! The three kinds of `policy.networking.k8s.io` differ in spelling (`Allow` and `Accept`, `ports` and `protocols`), not in
//! what a rule means, so their spelling ends here. What a reader of the API does not know becomes `Unknown`, which the
//! specification wants read as closed: an Accept rule then matches nothing, a Deny or Pass rule denies all.

use std::{fmt, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::{Deserialize, Serialize};

use super::{Place, model::shared};
use crate::net::Protocol;

/// Which of the three kinds an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AdminKind {
    /// `policy.networking.k8s.io/v1alpha1` AdminNetworkPolicy.
    AdminNetworkPolicy,
    /// `policy.networking.k8s.io/v1alpha1` BaselineAdminNetworkPolicy, of which a cluster has one, named `default`.
    BaselineAdminNetworkPolicy,
    /// `policy.networking.k8s.io/v1alpha2` ClusterNetworkPolicy.
    ClusterNetworkPolicy,
}

/// Where a policy stands: before the NetworkPolicies or behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tier {
    /// Asked first; what it decides is final.
    Admin,
    /// Asked last, and only for pods that no NetworkPolicy isolates in that direction.
    Baseline,
}

/// What a rule does with the traffic that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Action {
    /// Lets it through this side, finally. AdminNetworkPolicy spells it `Allow`.
    Accept,
    /// Stops it, finally.
    Deny,
    /// Leaves the tier: the next one decides.
    Pass,
}

/// One policy of an administrator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdminPolicy {
    /// The kind it was written as.
    pub kind: AdminKind,
    /// Its name; it has no namespace.
    pub name: String,
    /// Its tier.
    pub tier: Tier,
    /// 0 to 1000, the lower the earlier. A BaselineAdminNetworkPolicy has none and stands at 1000.
    pub priority: u16,
    /// The pods it speaks about, never hostNetwork ones.
    pub subject: AdminPods,
    /// Towards the subject, the first that matches decides.
    pub ingress: Vec<AdminRule>,
    /// From the subject, the first that matches decides.
    pub egress: Vec<AdminRule>,
}

/// Pods by selectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdminPods {
    /// In these namespaces; empty means all.
    pub namespaces: LabelSelector,
    /// With these labels; empty means all.
    pub pods: LabelSelector,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdminRule {
    /// Its name, which only people read.
    pub name: Option<String>,
    /// What it does.
    pub action: Action,
    /// The other ends, joined by OR; at least one.
    pub peers: Vec<AdminPeer>,
    /// The ports, joined by OR; absent or empty means every port of every protocol.
    pub ports: Vec<AdminPort>,
}

/// Another end of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AdminPeer {
    /// Pods, never hostNetwork ones. A `namespaces` peer is this with every pod.
    Pods(AdminPods),
    /// The addresses in the status of these nodes; egress only.
    Nodes(LabelSelector),
    /// CIDRs, as text: pods' own addresses count too; egress only.
    Networks(Vec<String>),
    /// Domain names, which nothing here can resolve; egress only.
    DomainNames(Vec<String>),
    /// A peer of a kind that this version does not know.
    Unknown,
}

/// Destination ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminPort {
    /// Every port of a protocol.
    All(Protocol),
    /// Consecutive ports, both ends included.
    Range(Protocol, u16, u16),
    /// The ports that the destination pod gives this name to, whatever their protocol.
    Named(String),
    /// An entry of a kind that this version does not know.
    Unknown,
}

/// An administrator's policy and where it was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourcedAdminPolicy {
    /// The policy.
    #[serde(with = "shared")]
    pub object: Arc<AdminPolicy>,
    /// Its place.
    pub place: Place,
}

impl AdminKind {
    /// The version that is taken of it, as objects spell it.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::AdminNetworkPolicy | Self::BaselineAdminNetworkPolicy => {
                "policy.networking.k8s.io/v1alpha1"
            }
            Self::ClusterNetworkPolicy => "policy.networking.k8s.io/v1alpha2",
        }
    }

    /// The kind as the API spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AdminNetworkPolicy => "AdminNetworkPolicy",
            Self::BaselineAdminNetworkPolicy => "BaselineAdminNetworkPolicy",
            Self::ClusterNetworkPolicy => "ClusterNetworkPolicy",
        }
    }

    /// How this kind spells [`Action::Accept`].
    #[must_use]
    pub const fn accept(self) -> &'static str {
        match self {
            Self::AdminNetworkPolicy | Self::BaselineAdminNetworkPolicy => "Allow",
            Self::ClusterNetworkPolicy => "Accept",
        }
    }

    /// The most rules that the API takes in one direction, and the most peers and ports in a rule.
    #[must_use]
    pub const fn max_entries(self) -> usize {
        match self {
            Self::AdminNetworkPolicy | Self::BaselineAdminNetworkPolicy => 100,
            Self::ClusterNetworkPolicy => 25,
        }
    }
}

impl fmt::Display for AdminKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "Accept",
            Self::Deny => "Deny",
            Self::Pass => "Pass",
        })
    }
}
