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
    /// The number that the destination pod gives to this name, with the protocol that it gives it
    /// (`destinationNamedPort` and `namedPort` of the administrators' policies).
    NamedAny(NameId),
}

impl PortMatch {
    /// Whether it lets a port through at every destination; a name never does.
    pub(crate) fn by_number(self, protocol: Protocol, port: u16) -> bool {
        match self {
            Self::All(wanted) => wanted == protocol,
            Self::Range(wanted, first, last) => wanted == protocol && (first..=last).contains(&port),
            Self::Named(..) | Self::NamedAny(_) => false,
        }
    }

    /// The name that a destination pod must give to the port, where there is one for this protocol.
    pub(crate) fn name(self, protocol: Protocol) -> Option<NameId> {
        match self {
            Self::Named(wanted, name) if wanted == protocol => Some(name),
            Self::NamedAny(name) => Some(name),
            Self::All(_) | Self::Range(..) | Self::Named(..) => None,
        }
    }
}

/// Whether a pod gives a name to a port. The first declaration of a name counts, as in Kubernetes' own `FindPort`.
pub(crate) fn declares(declared: &[NamedPort], name: NameId, protocol: Protocol, port: u16) -> bool {
    declared
        .iter()
        .find(|one| one.name == name && one.protocol == protocol)
        .is_some_and(|one| one.port == port)
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
    /// Whether a port is let through at every destination.
    pub(crate) fn by_number(&self, protocol: Protocol, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(entries) => entries.iter().any(|entry| entry.by_number(protocol, port)),
        }
    }

    /// The names by which a destination pod may be let through beside that.
    pub(crate) fn names(&self, protocol: Protocol) -> impl Iterator<Item = NameId> + '_ {
        let entries = match self {
            Self::Any => &[],
            Self::Listed(entries) => entries.as_slice(),
        };
        entries.iter().filter_map(move |entry| entry.name(protocol))
    }

    /// Whether a port is let through at a pod that declares these names; none for what is no pod, so that names never
    /// match addresses (R17).
    pub(crate) fn matches(&self, protocol: Protocol, port: u16, declared: &[NamedPort]) -> bool {
        self.by_number(protocol, port)
            || self
                .names(protocol)
                .any(|name| declares(declared, name, protocol, port))
    }
}
