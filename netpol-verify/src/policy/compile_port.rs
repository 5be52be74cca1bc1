//! Kubernetes' port entries to ours.

use std::collections::HashMap;

use k8s_openapi::{api::networking::v1::NetworkPolicyPort, apimachinery::pkg::util::intstr::IntOrString};

use crate::{
    cluster::{api_protocol, path::FieldPath},
    net::Protocol,
};

use super::{
    compile::Report,
    port::{NameId, PortMatch},
};

/// The port names that policies use, as numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct PortNames {
    ids: HashMap<String, NameId>,
    has_grown: bool,
}

/// What an entry of `ports` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WrittenPort<'a> {
    /// Every port of the protocol.
    All(Protocol),
    /// These numbers, both ends included.
    Range(Protocol, u16, u16),
    /// What the destination pod gives this name to.
    Named(Protocol, &'a str),
}

impl PortNames {
    /// The number of a name, if any policy uses it.
    pub(crate) fn get(&self, name: &str) -> Option<NameId> {
        self.ids.get(name).copied()
    }

    pub(crate) fn intern(&mut self, name: &str) -> NameId {
        if let Some(found) = self.ids.get(name) {
            return *found;
        }
        let next = NameId(self.ids.len() as u32);
        self.ids.insert(name.to_owned(), next);
        self.has_grown = true;
        next
    }

    /// The texts, in the order of their numbers.
    pub(crate) fn texts(&self) -> Vec<String> {
        let mut texts: Vec<(&NameId, &String)> = self.ids.iter().map(|(text, id)| (id, text)).collect();
        texts.sort_by_key(|(id, _)| id.0);
        texts.into_iter().map(|(_, text)| text.clone()).collect()
    }

    /// Whether names came since this was last asked.
    pub(crate) const fn take_growth(&mut self) -> bool {
        std::mem::replace(&mut self.has_grown, false)
    }

    /// Compiles one entry; `None` when the API would refuse it, so that it lets nothing through.
    pub(crate) fn port(
        &mut self,
        written: &NetworkPolicyPort,
        path: &FieldPath,
        report: &mut Report<'_>,
    ) -> Option<PortMatch> {
        match entry(written) {
            Ok(WrittenPort::All(protocol)) => Some(PortMatch::All(protocol)),
            Ok(WrittenPort::Range(protocol, first, last)) => Some(PortMatch::Range(protocol, first, last)),
            Ok(WrittenPort::Named(protocol, name)) => Some(PortMatch::Named(protocol, self.intern(name))),
            Err((key, message)) => {
                report.problem(&path.key(key), format!("{message}; the entry matches nothing"));
                None
            }
        }
    }
}

/// Reads an entry as the API does; `Err` names the key that it would refuse, and says why.
pub(crate) fn entry(entry: &NetworkPolicyPort) -> Result<WrittenPort<'_>, (&'static str, String)> {
    // R15: each entry defaults by itself, also when another entry names a protocol.
    let protocol = match entry.protocol.as_deref() {
        None => Protocol::Tcp,
        Some(named) => api_protocol(named).map_err(|message| ("protocol", message))?,
    };
    let port =
        |key, port: i32| number(port).ok_or_else(|| (key, format!("{port} is no port; expected 1 to 65535")));
    match (&entry.port, entry.end_port) {
        (None, None) => Ok(WrittenPort::All(protocol)),
        (None, Some(_)) => Err(("endPort", "needs a port to begin at".to_owned())),
        (Some(IntOrString::Int(first)), last) => {
            let first = port("port", *first)?;
            let last = last.map_or(Ok(first), |last| port("endPort", last))?;
            if last < first {
                return Err(("endPort", format!("{last} lies before port {first}")));
            }
            Ok(WrittenPort::Range(protocol, first, last))
        }
        (Some(IntOrString::String(_)), Some(_)) => {
            Err(("endPort", "goes with a numeric port only".to_owned()))
        }
        (Some(IntOrString::String(name)), None) if is_port_name(name) => {
            Ok(WrittenPort::Named(protocol, name))
        }
        (Some(IntOrString::String(name)), None) => Err((
            "port",
            format!(
                "{name:?} is text and so a port's name, but no valid one (lower case letters, digits, '-', at most 15, at least one letter); write a number without quotes"
            ),
        )),
    }
}

fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port > 0)
}

/// `IANA_SVC_NAME`, as the API's validation has it.
fn is_port_name(name: &str) -> bool {
    name.len() <= 15
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && name.bytes().any(|byte| byte.is_ascii_lowercase())
        && !name.contains("--")
        && !name.starts_with('-')
        && !name.ends_with('-')
}
