//! The faults: id, class and one line each.

use std::{fmt, str::FromStr};

/// A way in which the lab's enforcer can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// No rules anywhere.
    NoEngine,
    /// No egress rules.
    EgressUnsupported,
    /// Rules only between pods of one node.
    SameNodeOnly,
    /// No rules on the last node.
    OneNodeEngineDead,
    /// A denied SYN passes at its retransmission.
    RetransmittedSynAccepted,
    /// `except` does not count.
    ExceptIgnored,
    /// IPv6 is not filtered.
    OtherFamilyOpen,
    /// A policy without rules outweighs those that allow.
    DenyBeatsAllow,
    /// Bridged packets do not meet the rules.
    BridgeNfOff,
    /// The flow has no entry, so the reply is dropped.
    StartupReplyLost,
}

/// What kind of harm a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultClass {
    /// Denied traffic is delivered.
    Leak,
    /// Allowed traffic is lost.
    Overblock,
    /// Right for some nodes and wrong for others.
    Partial,
}

/// There is no such fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fault; expected one of {known}", known = known())]
pub struct ParseFaultError(pub String);

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 10] = [
        Self::NoEngine,
        Self::EgressUnsupported,
        Self::SameNodeOnly,
        Self::OneNodeEngineDead,
        Self::RetransmittedSynAccepted,
        Self::ExceptIgnored,
        Self::OtherFamilyOpen,
        Self::DenyBeatsAllow,
        Self::BridgeNfOff,
        Self::StartupReplyLost,
    ];

    /// The name on the command line.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::NoEngine => "no-engine",
            Self::EgressUnsupported => "egress-unsupported",
            Self::SameNodeOnly => "same-node-only",
            Self::OneNodeEngineDead => "one-node-engine-dead",
            Self::RetransmittedSynAccepted => "retransmitted-syn-accepted",
            Self::ExceptIgnored => "except-ignored",
            Self::OtherFamilyOpen => "other-family-open",
            Self::DenyBeatsAllow => "deny-beats-allow",
            Self::BridgeNfOff => "bridge-nf-off",
            Self::StartupReplyLost => "startup-reply-lost",
        }
    }

    /// What kind of harm it does.
    #[must_use]
    pub const fn class(self) -> FaultClass {
        match self {
            Self::NoEngine
            | Self::EgressUnsupported
            | Self::RetransmittedSynAccepted
            | Self::ExceptIgnored
            | Self::OtherFamilyOpen
            | Self::BridgeNfOff => FaultClass::Leak,
            Self::DenyBeatsAllow | Self::StartupReplyLost => FaultClass::Overblock,
            Self::SameNodeOnly | Self::OneNodeEngineDead => FaultClass::Partial,
        }
    }

    /// What it is, in one line.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::NoEngine => "policies are accepted and nothing enforces them (k3s-io/k3s#445)",
            Self::EgressUnsupported => {
                "ingress is enforced, egress is ignored (openshift/sdn#69, weaveworks/weave#2624)"
            }
            Self::SameNodeOnly => {
                "policies hold between pods of one node and for nobody else (projectcalico/calico#7658)"
            }
            Self::OneNodeEngineDead => "the engine is dead on the last node (Azure/AKS#1419)",
            Self::RetransmittedSynAccepted => {
                "a denied SYN is dropped once, its retransmission passes (antrea-io/antrea#219)"
            }
            Self::ExceptIgnored => "the exceptions of ipBlock do not count (antrea-io/antrea#71)",
            Self::OtherFamilyOpen => "IPv4 is enforced, IPv6 is open (aws/aws-network-policy-agent#408)",
            Self::DenyBeatsAllow => {
                "a policy without rules outweighs those that allow (Azure/azure-container-networking#217)"
            }
            Self::BridgeNfOff => {
                "packets between pods of one bridge do not meet the rules (cloudnativelabs/kube-router#1166)"
            }
            Self::StartupReplyLost => {
                "an egress-isolated client's request passes without a flow entry, and the reply is dropped (aws/aws-network-policy-agent#186)"
            }
        }
    }
}

fn known() -> String {
    Fault::ALL.map(Fault::id).join(", ")
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|fault| fault.id() == text)
            .ok_or_else(|| ParseFaultError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_read_back_and_an_unknown_one_lists_them_all() {
        for fault in Fault::ALL {
            assert_eq!(fault.id().parse(), Ok(fault));
        }
        let message = "nonsense".parse::<Fault>().unwrap_err().to_string();
        assert!(
            Fault::ALL.iter().all(|fault| message.contains(fault.id())),
            "{message}"
        );
    }
}
