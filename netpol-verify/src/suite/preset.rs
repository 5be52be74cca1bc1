//! CNIs by name: presets over wiring and enforcer.

use std::{fmt, str::FromStr};

use crate::lab::{
    enforcer::EnforcerSpec,
    topology::{Overlay, Wiring},
};

/// What the lab stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cni {
    /// Flannel: bridge and VXLAN; accepts policies and enforces none (k3s-io/k3s#445, flannel-io/flannel#2183).
    Flannel,
    /// kubenet: bridge and routes; the same.
    Kubenet,
    /// A CNI that enforces what the policies say, driven by the literal reading of the specification.
    Enforcing,
}

/// The text names no preset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no CNI of the lab; expected flannel, kubenet or enforcing")]
pub struct ParseCniError(pub String);

impl Cni {
    /// The preset's wiring.
    #[must_use]
    pub const fn wiring(self) -> Wiring {
        match self {
            Self::Flannel => Wiring::Bridge {
                overlay: Overlay::Vxlan,
            },
            Self::Kubenet | Self::Enforcing => Wiring::Bridge {
                overlay: Overlay::HostGateway,
            },
        }
    }

    /// The preset's enforcer.
    #[must_use]
    pub const fn enforcer(self) -> EnforcerSpec {
        match self {
            Self::Flannel | Self::Kubenet => EnforcerSpec::None,
            Self::Enforcing => EnforcerSpec::Nftables,
        }
    }
}

impl FromStr for Cni {
    type Err = ParseCniError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "flannel" => Ok(Self::Flannel),
            "kubenet" => Ok(Self::Kubenet),
            "enforcing" => Ok(Self::Enforcing),
            _ => Err(ParseCniError(text.to_owned())),
        }
    }
}

impl fmt::Display for Cni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flannel => "flannel",
            Self::Kubenet => "kubenet",
            Self::Enforcing => "enforcing",
        })
    }
}
