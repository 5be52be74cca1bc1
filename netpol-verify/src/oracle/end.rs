//! The two ends of a question as people write them: `FROM TO[:PORT[/PROTO]]`.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

use crate::{cluster::ObjectName, net::Protocol};

/// A question as it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who opens the connection.
    pub from: AskedEnd,
    /// To whom.
    pub to: AskedEnd,
    /// The port that is dialled; `None` asks about every port that matters there.
    pub port: Option<AskedPort>,
    /// The protocol; `None` means TCP, or the one that a Service's port has.
    pub protocol: Option<Protocol>,
}

/// An end as it was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedEnd {
    /// `namespace/pod`.
    Pod(ObjectName),
    /// `namespace/svc/name`.
    Service(ObjectName),
    /// An address.
    Address(IpAddr),
    /// Every address of a block that is no pod's and no node's.
    Block(IpNet),
}

/// A port as it was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedPort {
    /// A number.
    Number(u16),
    /// The name of a Service's or of a pod's port.
    Name(String),
}

/// An end or a port cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseEndError {
    /// It is no end.
    #[error(
        "{0:?} is no end; expected namespace/pod, namespace/svc/name, an address or a CIDR (IPv6 with a port in brackets: [fd00::1]:80)"
    )]
    End(String),
    /// The port is no port.
    #[error("{0:?} is no port; expected PORT or PORT/PROTOCOL, as 80, 53/UDP or a port's name")]
    Port(String),
    /// The protocol is not one that policies know.
    #[error(
        "{0:?} is no protocol that policies speak about: they know TCP, UDP and SCTP. Of all others (ICMP among them) the API leaves open whether policies touch them (R25), so that nothing can be required"
    )]
    Protocol(String),
}

impl Question {
    /// Reads both ends; a name without a namespace is in `home`.
    ///
    /// # Errors
    ///
    /// When an end, the port or the protocol cannot be read.
    pub fn parse(from: &str, to: &str, home: &str) -> Result<Self, ParseEndError> {
        let from = end(from, home)?;
        let (to, port) = split_port(to);
        let to = end(to, home)?;
        let Some(port) = port else {
            return Ok(Self {
                from,
                to,
                port: None,
                protocol: None,
            });
        };
        let (number, protocol) = match port.split_once('/') {
            Some((port, protocol)) => (port, Some(protocol)),
            None => (port, None),
        };
        let protocol = protocol
            .map(|text| {
                let known = text.to_ascii_uppercase().parse();
                known.map_err(|_| ParseEndError::Protocol(text.to_owned()))
            })
            .transpose()?;
        let is_name = number.bytes().any(|byte| byte.is_ascii_lowercase())
            && number
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let asked = match number.parse::<u16>() {
            Ok(number) if number > 0 => AskedPort::Number(number),
            Err(_) if is_name => AskedPort::Name(number.to_owned()),
            Ok(_) | Err(_) => return Err(ParseEndError::Port(port.to_owned())),
        };
        Ok(Self {
            from,
            to,
            port: Some(asked),
            protocol,
        })
    }
}

/// Takes `:PORT[/PROTO]` off; an address or block by itself has no port, whatever colons it has.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() {
        return (text, None);
    }
    match text.rsplit_once(':') {
        Some((end, port)) if !end.is_empty() && !port.ends_with(']') => (end, Some(port)),
        Some(_) | None => (text, None),
    }
}

fn end(text: &str, home: &str) -> Result<AskedEnd, ParseEndError> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(AskedEnd::Address(address.to_canonical()));
    }
    if let Ok(block) = bare.parse::<IpNet>() {
        return Ok(AskedEnd::Block(block.trunc()));
    }
    let is_name = |part: &&str| {
        let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        is_end(part.bytes().next())
            && is_end(part.bytes().next_back())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
    };
    let parts: Vec<&str> = text.split('/').collect();
    if !parts.iter().all(is_name) {
        return Err(ParseEndError::End(text.to_owned()));
    }
    const SERVICE: [&str; 3] = ["svc", "service", "services"];
    const POD: [&str; 3] = ["pod", "pods", "po"];
    match parts.as_slice() {
        [name] => Ok(AskedEnd::Pod(ObjectName::new(home, *name))),
        [kind, name] if SERVICE.contains(kind) => Ok(AskedEnd::Service(ObjectName::new(home, *name))),
        [kind, name] if POD.contains(kind) => Ok(AskedEnd::Pod(ObjectName::new(home, *name))),
        [namespace, name] => Ok(AskedEnd::Pod(ObjectName::new(*namespace, *name))),
        [namespace, kind, name] if SERVICE.contains(kind) => {
            Ok(AskedEnd::Service(ObjectName::new(*namespace, *name)))
        }
        [namespace, kind, name] if POD.contains(kind) => {
            Ok(AskedEnd::Pod(ObjectName::new(*namespace, *name)))
        }
        _ => Err(ParseEndError::End(text.to_owned())),
    }
}

impl fmt::Display for AskedEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(name) => name.fmt(f),
            Self::Service(name) => write!(f, "{}/svc/{}", name.namespace, name.name),
            Self::Address(address) => address.fmt(f),
            Self::Block(block) => block.fmt(f),
        }
    }
}

impl fmt::Display for AskedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Question;

    fn read(to: &str) -> String {
        match Question::parse("a", to, "home") {
            Ok(it) => format!(
                "{} {:?} {:?}",
                it.to,
                it.port.map(|port| port.to_string()),
                it.protocol
            ),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_form_of_an_end_is_read() {
        for (text, meant) in [
            ("web", "home/web None None"),
            ("shop/web", "shop/web None None"),
            ("shop/pod/web:80", "shop/web Some(\"80\") None"),
            ("shop/web:80/udp", "shop/web Some(\"80\") Some(Udp)"),
            ("shop/svc/web:http", "shop/svc/web Some(\"http\") None"),
            ("svc/web:80/SCTP", "home/svc/web Some(\"80\") Some(Sctp)"),
            ("10.0.0.1", "10.0.0.1 None None"),
            ("10.0.0.1:443/TCP", "10.0.0.1 Some(\"443\") Some(Tcp)"),
            ("10.1.2.3/8", "10.0.0.0/8 None None"),
            ("10.0.0.0/8:443", "10.0.0.0/8 Some(\"443\") None"),
            ("fd00::1", "fd00::1 None None"),
            ("[fd00::1]:80", "fd00::1 Some(\"80\") None"),
            ("[fd00::/8]:80/TCP", "fd00::/8 Some(\"80\") Some(Tcp)"),
            ("fd00::/8", "fd00::/8 None None"),
        ] {
            assert_eq!(read(text), meant, "{text}");
        }
    }

    #[test]
    fn what_is_no_question_is_named() {
        for (text, says) in [
            ("", "is no end"),
            ("a/b/c", "is no end"),
            ("Web", "is no end"),
            ("web:0", "is no port"),
            ("web:65536", "is no port"),
            ("web:", "is no port"),
            ("web:80/ICMP", "R25"),
            ("web:HTTP", "is no port"),
            ("../etc", "is no end"),
            ("a\u{1b}[2Jb", "is no end"),
        ] {
            assert!(read(text).contains(says), "{text}: {}", read(text));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(from in any::<String>(), to in any::<String>()) {
            let _ = Question::parse(&from, &to, "home");
        }
    }
}
