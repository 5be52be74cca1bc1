//! Which ports are asked about, as a command line spells them.

use std::{fmt, str::FromStr};

use crate::{cluster::Snapshot, net::Protocol};

/// A protocol and a port: `TCP/80`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// The protocol.
    pub protocol: Protocol,
    /// The port at the destination pod.
    pub number: u16,
}

/// The text is no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no port; expected 80 (which is TCP) or 53/UDP, with TCP, UDP or SCTP and 1 to 65535")]
pub struct ParsePortError(pub String);

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.protocol, self.number)
    }
}

impl FromStr for Port {
    type Err = ParsePortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (one, other) = text.split_once('/').unwrap_or((text, "TCP"));
        // Reports write TCP/80, command lines 80/TCP; both are understood.
        let parsed = |number: &str, protocol: &str| {
            Some(Self {
                protocol: protocol.parse().ok()?,
                number: number.parse().ok().filter(|number| *number > 0)?,
            })
        };
        parsed(one, other)
            .or_else(|| parsed(other, one))
            .ok_or_else(|| ParsePortError(text.to_owned()))
    }
}

/// Where nothing declares or names a port, there is still one to ask about.
const DEFAULT_PORT: Port = Port {
    protocol: Protocol::Tcp,
    number: 80,
};

/// Every port that these clusters name, in order; the second value is whether there is none, so that TCP/80 stands in.
#[must_use]
pub fn ports_of(snapshots: &[&Snapshot]) -> (Vec<Port>, bool) {
    let named: std::collections::BTreeSet<Port> = snapshots
        .iter()
        .flat_map(|snapshot| snapshot.ports())
        .map(|(protocol, number)| Port { protocol, number })
        .collect();
    if named.is_empty() {
        (vec![DEFAULT_PORT], true)
    } else {
        (named.into_iter().collect(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::Port;

    #[test]
    fn a_port_is_a_number_with_or_without_its_protocol() {
        for (text, expected) in [
            ("80", "TCP/80"),
            ("53/UDP", "UDP/53"),
            ("udp/53", "UDP/53"),
            ("65535/SCTP", "SCTP/65535"),
        ] {
            assert_eq!(text.parse::<Port>().unwrap().to_string(), expected);
        }
        for text in [
            "", "0", "65536", "http", "80/ICMP", "80/", "/80", "-1", "80/TCP/x",
        ] {
            let error = text.parse::<Port>().unwrap_err();
            assert!(error.to_string().contains("53/UDP"), "{text}");
        }
    }
}
