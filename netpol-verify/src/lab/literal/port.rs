//! Port entries: which protocol and destination port they let through.

use k8s_openapi::{api::networking::v1::NetworkPolicyPort, apimachinery::pkg::util::intstr::IntOrString};

use crate::{cluster::Pod, net::Protocol};

/// Consecutive destination ports of one protocol, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    /// The protocol.
    pub protocol: Protocol,
    /// The lowest port.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

impl PortRange {
    /// Every port of the protocol.
    #[must_use]
    pub const fn all(protocol: Protocol) -> Self {
        Self {
            protocol,
            first: 0,
            last: u16::MAX,
        }
    }

    /// Whether the port is in the range.
    #[must_use]
    pub fn contains(self, protocol: Protocol, port: u16) -> bool {
        self.protocol == protocol && (self.first..=self.last).contains(&port)
    }
}

/// What an entry of `ports` says.
pub(super) enum Wanted<'a> {
    /// Numbers.
    Numbers(PortRange),
    /// A name that each pod resolves for itself.
    Name(Protocol, &'a str),
    /// Nothing that the API allows.
    Unreadable,
}

/// Reads an entry of `ports`.
pub(super) fn read(entry: &NetworkPolicyPort) -> Wanted<'_> {
    // "If not specified, this field defaults to TCP", per entry (R15).
    let protocol = match entry.protocol.as_deref() {
        None | Some("TCP") => Protocol::Tcp,
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        Some(_) => return Wanted::Unreadable,
    };
    let number = |port: i32| u16::try_from(port).ok().filter(|port| *port > 0);
    match (&entry.port, entry.end_port) {
        // "If this field is not provided, this matches all port names and numbers."
        (None, None) => Wanted::Numbers(PortRange::all(protocol)),
        (Some(IntOrString::String(name)), None) => Wanted::Name(protocol, name),
        (Some(IntOrString::Int(port)), end) => match (number(*port), number(end.unwrap_or(*port))) {
            // "The endPort must be equal or greater than port."
            (Some(first), Some(last)) if first <= last => Wanted::Numbers(PortRange {
                protocol,
                first,
                last,
            }),
            _ => Wanted::Unreadable,
        },
        // endPort "cannot be defined if the port field is not defined or … is defined as a named (string) port".
        (None | Some(IntOrString::String(_)), Some(_)) => Wanted::Unreadable,
    }
}

/// The numbers a pod gives to a name: those it declares under that name with that very protocol (R17).
pub(super) fn numbers_of(pod: &Pod, protocol: Protocol, name: &str) -> Vec<PortRange> {
    pod.ports
        .iter()
        .filter(|port| port.protocol == protocol && port.name.as_deref() == Some(name))
        .map(|port| PortRange {
            protocol,
            first: port.port,
            last: port.port,
        })
        .collect()
}

/// Whether the ports of a rule let this protocol and port through. `names_of` is the pod whose port names
/// count, if any.
pub(super) fn permit(
    ports: &[NetworkPolicyPort],
    names_of: Option<&Pod>,
    protocol: Protocol,
    port: u16,
) -> bool {
    // "If this field is empty or missing, this rule matches all ports."
    if ports.is_empty() {
        return true;
    }
    ports.iter().any(|entry| match read(entry) {
        Wanted::Numbers(range) => range.contains(protocol, port),
        Wanted::Name(wanted, name) => names_of.is_some_and(|pod| {
            numbers_of(pod, wanted, name)
                .iter()
                .any(|range| range.contains(protocol, port))
        }),
        Wanted::Unreadable => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(protocol: Option<&str>, port: Option<IntOrString>, end_port: Option<i32>) -> NetworkPolicyPort {
        NetworkPolicyPort {
            protocol: protocol.map(str::to_owned),
            port,
            end_port,
        }
    }

    fn permits(entry: NetworkPolicyPort, protocol: Protocol, port: u16) -> bool {
        permit(&[entry], None, protocol, port)
    }

    #[test]
    fn no_entries_let_everything_through() {
        assert!(permit(&[], None, Protocol::Sctp, 9));
    }

    #[test]
    fn protocol_is_tcp_when_missing_and_port_is_all_when_missing() {
        assert!(permits(entry(None, None, None), Protocol::Tcp, 1));
        assert!(!permits(entry(None, None, None), Protocol::Udp, 1));
        assert!(permits(entry(Some("UDP"), None, None), Protocol::Udp, 65535));
        assert!(permits(
            entry(None, Some(IntOrString::Int(80)), None),
            Protocol::Tcp,
            80
        ));
        assert!(!permits(
            entry(None, Some(IntOrString::Int(80)), None),
            Protocol::Tcp,
            81
        ));
    }

    #[test]
    fn end_port_is_included() {
        let range = || entry(None, Some(IntOrString::Int(80)), Some(90));
        assert!(permits(range(), Protocol::Tcp, 80) && permits(range(), Protocol::Tcp, 90));
        assert!(!permits(range(), Protocol::Tcp, 79) && !permits(range(), Protocol::Tcp, 91));
    }

    #[test]
    fn what_the_api_forbids_lets_nothing_through() {
        for entry in [
            entry(Some("ICMP"), None, None),
            entry(None, Some(IntOrString::Int(0)), None),
            entry(None, Some(IntOrString::Int(90)), Some(80)),
            entry(None, Some(IntOrString::Int(90)), Some(70_000)),
            entry(None, None, Some(80)),
            entry(None, Some(IntOrString::String("web".to_owned())), Some(80)),
        ] {
            let shown = format!("{entry:?}");
            assert!(
                (0..=u16::MAX).all(|port| !permit(std::slice::from_ref(&entry), None, Protocol::Tcp, port)),
                "{shown}"
            );
        }
    }
}
