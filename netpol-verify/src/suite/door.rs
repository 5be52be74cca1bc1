//! Addresses that stand for pods: a Service's own, and its port on a node. What a client dials there becomes an attempt to the
//! pod behind it.

use std::{fmt, net::IpAddr, str::FromStr};

use super::{
    outside::{self, is_outside},
    pairs::{Attempt, can_probe},
    scenario::ProbePattern,
};
use crate::{
    cluster::{Backend, Node, ObjectName, Pod, Service, ServicePort, Snapshot},
    net::{Family, Protocol},
};

/// Through what a client dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// A Service: its own address or, where it is headless, its pods'.
    Service(ObjectName),
    /// A node, on which a Service has a port.
    Node(String),
}

/// The text names no door.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither Service namespace/name nor Node name")]
pub struct ParseDoorError(String);

impl FromStr for Door {
    type Err = ParseDoorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = match text.split_once(' ') {
            Some(("Service", name)) => name.parse().ok().map(Self::Service),
            Some(("Node", name)) if !name.is_empty() => Some(Self::Node(name.to_owned())),
            _ => None,
        };
        found.ok_or_else(|| ParseDoorError(text.to_owned()))
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "Service {name}"),
            Self::Node(name) => write!(f, "Node {name}"),
        }
    }
}

/// What an attempt's packets carry until they are translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialled {
    /// Through what.
    pub door: Door,
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The addresses that the pod may see instead of the client's: those of a node that puts its own there (R20).
    pub rewritten: Vec<IpAddr>,
}

/// A way into a Service: where it is dialled, and by which node.
struct Way<'a> {
    service: &'a Service,
    of_service: &'a ServicePort,
    addresses: Vec<IpAddr>,
    node: Option<&'a Node>,
}

/// Who asks, from which addresses.
struct Client {
    name: ObjectName,
    addresses: Vec<IpAddr>,
}

impl Door {
    /// The attempts through this door of those whom a pattern lets ask. Where several pods stand behind it, which of them gets a
    /// connection is nobody's to say, and none is made.
    pub(super) fn attempts(&self, snapshot: &Snapshot, pattern: &ProbePattern) -> Vec<Attempt> {
        let Some(way) = self.way(snapshot, pattern.protocol, pattern.port) else {
            return Vec::new();
        };
        let backends = snapshot.backends(way.service, way.of_service);
        let mut attempts = Vec::new();
        for client in clients(snapshot, pattern) {
            for address in &client.addresses {
                let family = Family::of(*address);
                let mut behind = backends
                    .iter()
                    .filter(|one| one.address.map(Family::of) == Some(family));
                if let (Some(backend), None) = (behind.next(), behind.next()) {
                    attempts.extend(self.attempt(snapshot, &way, &client.name, *address, backend, pattern));
                }
            }
        }
        attempts
    }

    fn attempt(
        &self,
        snapshot: &Snapshot,
        way: &Way<'_>,
        from: &ObjectName,
        from_address: IpAddr,
        backend: &Backend,
        pattern: &ProbePattern,
    ) -> Option<Attempt> {
        let (to, to_address) = (backend.pod.clone()?, backend.address?);
        let dialled = if way.service.headless {
            // Its name stands for the pod's address: nothing is translated.
            Dialled {
                door: self.clone(),
                address: to_address,
                port: backend.port,
                rewritten: Vec::new(),
            }
        } else {
            let mut entries = way.addresses.iter();
            let address = *entries.find(|one| one.is_ipv4() == to_address.is_ipv4())?;
            let is_rewritten = way.node.is_some() && !way.service.keeps_client_address;
            // Where clients keep their addresses, a node has for those outside only the pods that it runs.
            let is_there = |node: &Node| {
                snapshot
                    .pod(&to)
                    .is_some_and(|pod| pod.node.as_ref() == Some(&node.name))
            };
            if is_outside(from) && !is_rewritten && !way.node.is_none_or(is_there) {
                return None;
            }
            Dialled {
                door: self.clone(),
                address,
                port: pattern.port,
                rewritten: if is_rewritten { vec![address] } else { Vec::new() },
            }
        };
        Some(Attempt {
            from: from.clone(),
            from_address,
            to,
            to_address,
            protocol: pattern.protocol,
            port: backend.port,
            dialled: Some(dialled),
        })
    }

    fn way<'a>(&self, snapshot: &'a Snapshot, protocol: Protocol, port: u16) -> Option<Way<'a>> {
        match self {
            Self::Service(name) => {
                let service = snapshot.service(name)?;
                let mut ports = service.ports.iter();
                Some(Way {
                    service,
                    of_service: ports.find(|one| one.protocol == protocol && one.port == port)?,
                    addresses: service.cluster_ips.clone(),
                    node: None,
                })
            }
            Self::Node(name) => {
                let node = snapshot.nodes.iter().find(|node| node.name == *name)?;
                snapshot.services.iter().find_map(|service| {
                    let mut ports = service.ports.iter();
                    Some(Way {
                        service,
                        of_service: ports
                            .find(|one| one.protocol == protocol && one.node_port == Some(port))?,
                        addresses: node.addresses.clone(),
                        node: Some(node),
                    })
                })
            }
        }
    }
}

/// Whom a pattern lets ask.
fn clients(snapshot: &Snapshot, pattern: &ProbePattern) -> Vec<Client> {
    if is_outside(&pattern.from) {
        return vec![Client {
            name: pattern.from.clone(),
            addresses: outside::addresses().to_vec(),
        }];
    }
    let pods = snapshot.pods.iter().filter(|pod| can_probe(pod));
    let asking = pods.filter(|pod| ProbePattern::covers(&pattern.from, &pod.name));
    let client = |pod: &Pod| Client {
        name: pod.name.clone(),
        addresses: pod.ips.clone(),
    };
    asking.map(client).collect()
}

#[cfg(test)]
mod tests {
    use super::Door;

    #[test]
    fn doors_are_read_and_written_alike() {
        for text in ["Service y/web", "Node node2"] {
            assert_eq!(text.parse::<Door>().unwrap().to_string(), text);
        }
        for text in ["", "Service", "Service y", "Node ", "Pod y/a", "y/a"] {
            assert!(text.parse::<Door>().is_err(), "{text}");
        }
    }
}
