//! Kubernetes' port entries to ours.

use std::collections::HashMap;

use k8s_openapi::{api::networking::v1::NetworkPolicyPort, apimachinery::pkg::util::intstr::IntOrString};

use crate::{cluster::path::FieldPath, net::Protocol};

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
        entry: &NetworkPolicyPort,
        path: &FieldPath,
        report: &mut Report<'_>,
    ) -> Option<PortMatch> {
        let mut refuse = |key: &str, message: String| {
            report.problem(&path.key(key), format!("{message}; the entry matches nothing"));
            None
        };
        // R15: each entry defaults by itself, also when another entry names a protocol.
        let named = entry.protocol.as_deref().unwrap_or("TCP");
        let Some(protocol) = Protocol::ALL
            .into_iter()
            .find(|protocol| protocol.as_str() == named)
        else {
            return refuse(
                "protocol",
                format!("{named:?} is no protocol of the API; expected TCP, UDP or SCTP"),
            );
        };
        match (&entry.port, entry.end_port) {
            (None, None) => Some(PortMatch::All(protocol)),
            (None, Some(_)) => refuse("endPort", "needs a port to begin at".to_owned()),
            (Some(IntOrString::Int(first)), last) => {
                let Some(first) = number(*first) else {
                    return refuse("port", format!("{first} is no port; expected 1 to 65535"));
                };
                match last.map(|last| number(last).ok_or(last)) {
                    None => Some(PortMatch::Range(protocol, first, first)),
                    Some(Ok(last)) if last >= first => Some(PortMatch::Range(protocol, first, last)),
                    Some(Ok(last)) => refuse("endPort", format!("{last} lies before port {first}")),
                    Some(Err(last)) => refuse("endPort", format!("{last} is no port; expected 1 to 65535")),
                }
            }
            (Some(IntOrString::String(_)), Some(_)) => {
                refuse("endPort", "goes with a numeric port only".to_owned())
            }
            (Some(IntOrString::String(name)), None) if is_port_name(name) => {
                Some(PortMatch::Named(protocol, self.intern(name)))
            }
            (Some(IntOrString::String(name)), None) => refuse(
                "port",
                format!(
                    "{name:?} is text and so a port's name, but no valid one (lower case letters, digits, '-', at most 15, at least one letter); write a number without quotes"
                ),
            ),
        }
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
