//! Which destination ports a rule lets through.

use crate::net::Protocol;

/// A port name that some policy uses, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NameId(pub(crate) u32);

/// A named port that a pod declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NamedPort {
    pub(crate) name: NameId,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
}

/// One port entry, its protocol already defaulted (R15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortMatch {
    /// All ports of the protocol.
    All(Protocol),
    /// These ports, both ends included (R16).
    Range(Protocol, u16, u16),
    /// The number that the destination pod gives to this name with this protocol (R17).
    Named(Protocol, NameId),
}

impl PortMatch {
    fn matches(self, protocol: Protocol, port: u16, destination: &[NamedPort]) -> bool {
        match self {
            Self::All(wanted) => wanted == protocol,
            Self::Range(wanted, first, last) => wanted == protocol && (first..=last).contains(&port),
            // The first declaration of a name counts, as in Kubernetes' own FindPort.
            Self::Named(wanted, name) => {
                wanted == protocol
                    && destination
                        .iter()
                        .find(|declared| declared.name == name && declared.protocol == protocol)
                        .is_some_and(|declared| declared.port == port)
            }
        }
    }
}

/// The ports of one rule, joined by OR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    /// `ports` is missing or empty (R6).
    Any,
    /// At least one entry was written. An entry that is invalid adds nothing here.
    Listed(Vec<PortMatch>),
}

impl Ports {
    /// Whether a destination port is let through; `destination` are the named ports of the destination pod,
    /// none when it is no pod, so that names never match addresses (R17).
    pub(crate) fn matches(&self, protocol: Protocol, port: u16, destination: &[NamedPort]) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(entries) => entries
                .iter()
                .any(|entry| entry.matches(protocol, port, destination)),
        }
    }
}
