//! `ports`, misread.

use k8s_openapi::{api::networking::v1::NetworkPolicyPort, apimachinery::pkg::util::intstr::IntOrString};

use crate::{cluster::Snapshot, lab::fault::policies::each_rule};

/// How `ports` are misread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum PortMisreading {
    /// A name stands for every port of its protocol.
    NamedPortAny,
    /// Entries with names are dropped.
    NamedPortIgnored,
    /// A name stands for every number that any pod gives to it.
    NamedPortPooled,
    /// Without a protocol, an entry means all of them.
    MissingProtocolIsAny,
    /// Only the first entry counts.
    OnlyFirstEntry,
    /// Without entries, a rule means no port.
    MissingMeansNone,
    /// Numbers do not count, only protocols.
    NumbersIgnored,
}

impl PortMisreading {
    /// The cluster as it is misread.
    pub(in super::super) fn reread(self, snapshot: &Snapshot) -> Snapshot {
        each_rule(snapshot, |mut rule| match self {
            Self::NamedPortAny => rule.each_port(|entry| {
                let port = entry.port.filter(|port| matches!(port, IntOrString::Int(_)));
                vec![NetworkPolicyPort { port, ..entry }]
            }),
            Self::NamedPortIgnored => rule.each_port(|entry| match entry.port {
                Some(IntOrString::String(_)) => Vec::new(),
                _ => vec![entry],
            }),
            Self::NamedPortPooled => rule.each_port(|entry| match &entry.port {
                Some(IntOrString::String(name)) => pooled(snapshot, name, &entry),
                _ => vec![entry],
            }),
            Self::MissingProtocolIsAny => rule.each_port(|entry| {
                if entry.protocol.is_some() {
                    return vec![entry];
                }
                let of = |protocol: &str| NetworkPolicyPort {
                    protocol: Some(protocol.to_owned()),
                    ..entry.clone()
                };
                ["TCP", "UDP", "SCTP"].map(of).to_vec()
            }),
            Self::OnlyFirstEntry => {
                if let Some(entries) = rule.ports {
                    entries.truncate(1);
                }
                true
            }
            Self::MissingMeansNone => rule.ports.as_ref().is_some_and(|entries| !entries.is_empty()),
            Self::NumbersIgnored => rule.each_port(|entry| {
                vec![NetworkPolicyPort {
                    port: None,
                    end_port: None,
                    ..entry
                }]
            }),
        })
    }
}

/// The numbers that pods give to a name, as entries.
fn pooled(snapshot: &Snapshot, name: &str, entry: &NetworkPolicyPort) -> Vec<NetworkPolicyPort> {
    let ports = snapshot.pods.iter().flat_map(|pod| &pod.ports);
    ports
        .filter(|port| port.name.as_deref() == Some(name))
        .map(|port| NetworkPolicyPort {
            port: Some(IntOrString::Int(i32::from(port.port))),
            ..entry.clone()
        })
        .collect()
}
