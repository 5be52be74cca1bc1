//! The ports worth asking about: those that pods declare and those that policies name.

use std::collections::BTreeSet;

use k8s_openapi::{api::networking::v1::NetworkPolicyPort, apimachinery::pkg::util::intstr::IntOrString};

use super::{AdminPort, Snapshot, TargetPort};
use crate::net::Protocol;

impl Snapshot {
    /// Every port that a container declares, a policy gives by number, of a range both ends, or a Service sends to. Names
    /// need no place of their own: they stand for declared ports.
    #[must_use]
    pub fn ports(&self) -> BTreeSet<(Protocol, u16)> {
        let declared = self
            .pods
            .iter()
            .flat_map(|pod| &pod.ports)
            .map(|port| (port.protocol, port.port));
        let entries = self
            .policies
            .iter()
            .filter_map(|policy| policy.object.spec.as_ref())
            .flat_map(|spec| {
                let ingress = spec
                    .ingress
                    .iter()
                    .flatten()
                    .flat_map(|rule| rule.ports.iter().flatten());
                let egress = spec
                    .egress
                    .iter()
                    .flatten()
                    .flat_map(|rule| rule.ports.iter().flatten());
                ingress.chain(egress)
            });
        let by_administrators = self
            .admin
            .iter()
            .flat_map(|policy| policy.object.ingress.iter().chain(&policy.object.egress))
            .flat_map(|rule| &rule.ports)
            .flat_map(|port| match port {
                AdminPort::Range(protocol, first, last) => vec![(*protocol, *first), (*protocol, *last)],
                AdminPort::All(_) | AdminPort::Named(_) | AdminPort::Unknown => Vec::new(),
            });
        // A headless Service translates nothing.
        let behind_services = self.services.iter().flat_map(|service| {
            service.ports.iter().filter_map(|port| match port.target {
                _ if service.headless => Some((port.protocol, port.port)),
                TargetPort::Number(number) => Some((port.protocol, number)),
                TargetPort::Name(_) => None,
            })
        });
        declared
            .chain(entries.flat_map(numbers))
            .chain(by_administrators)
            .chain(behind_services)
            .filter(|(_, port)| *port != 0)
            .collect()
    }
}

/// The numbers of a port entry; an entry that is no lawful one has none, and `compile` says so.
fn numbers(entry: &NetworkPolicyPort) -> Vec<(Protocol, u16)> {
    let Ok(protocol) = entry.protocol.as_deref().unwrap_or("TCP").parse::<Protocol>() else {
        return Vec::new();
    };
    let first = match entry.port {
        Some(IntOrString::Int(number)) => Some(number),
        _ => None,
    };
    [first, entry.end_port]
        .into_iter()
        .flatten()
        .filter_map(|number| u16::try_from(number).ok())
        .map(|number| (protocol, number))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::cluster::Loaded;

    #[test]
    fn administrators_and_services_name_ports_too() {
        let text = "
{apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy, metadata: {name: a}, spec: {priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}], ports: [{portNumber: {protocol: UDP, port: 53}}, {portRange: {protocol: TCP, start: 100, end: 200}}, {namedPort: http}]}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: one, namespace: shop}, spec: {ports: [{port: 80, targetPort: 8080}, {name: b, port: 443, targetPort: https}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: two, namespace: shop}, spec: {clusterIP: None, ports: [{port: 5432, targetPort: 9}]}}
";
        let (snapshot, problems) = Loaded::from_text(text, Path::new("t")).into_snapshot();
        assert_eq!(problems, []);
        let ports: Vec<String> = snapshot
            .ports()
            .iter()
            .map(|(protocol, port)| format!("{protocol}/{port}"))
            .collect();
        assert_eq!(ports, ["TCP/100", "TCP/200", "TCP/5432", "TCP/8080", "UDP/53"]);
    }
}
