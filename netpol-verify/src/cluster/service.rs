//! Services and their EndpointSlices: which pod and port stand behind an address and a port that clients dial.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::{Deserialize, Serialize};

use super::{ObjectName, Pod, Snapshot};
use crate::net::{Family, Protocol};

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: ObjectName,
    /// Whether it has no address of its own: its name stands for its pods' addresses.
    pub headless: bool,
    /// `spec.clusterIPs`; empty in manifests that the API server has not seen.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs` and the addresses of its load balancer.
    pub external_ips: Vec<IpAddr>,
    /// `spec.externalTrafficPolicy: Local`: clients' addresses stay, only pods of the node dialled answer.
    pub keeps_client_address: bool,
    /// `spec.selector`; empty where slices are made by hand.
    pub selector: BTreeMap<String, String>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// Its name; `None` where the Service has one port only.
    pub name: Option<String>,
    /// The protocol.
    pub protocol: Protocol,
    /// The port that clients dial; no policy ever sees it (R19).
    pub port: u16,
    /// The port at the pod.
    pub target: TargetPort,
    /// The port on every node, of a NodePort or LoadBalancer Service.
    pub node_port: Option<u16>,
}

/// The port at the pod that a Service sends to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetPort {
    /// This number.
    Number(u16),
    /// The number that each pod gives this name.
    Name(String),
}

/// A part of a Service's endpoints, as the cluster found them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSlice {
    /// Its name.
    pub name: ObjectName,
    /// The Service it belongs to, by the label `kubernetes.io/service-name`.
    pub service: Option<String>,
    /// The ports that hold for every endpoint in it.
    pub ports: Vec<EndpointPort>,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// One port of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointPort {
    /// The name of the Service's port.
    pub name: Option<String>,
    /// The protocol.
    pub protocol: Protocol,
    /// The number at the endpoint; `None` means all.
    pub port: Option<u16>,
}

/// One endpoint of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its addresses, of one family.
    pub addresses: Vec<IpAddr>,
    /// Whether traffic is sent to it; unknown counts as yes, as the API says.
    pub ready: bool,
    /// The pod it is, by `targetRef`.
    pub pod: Option<ObjectName>,
}

/// What stands behind one port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backend {
    /// The pod; `None` for an address that no slice gives a pod to.
    pub pod: Option<ObjectName>,
    /// Its address; `None` for a pod that has none yet.
    pub address: Option<IpAddr>,
    /// The port there.
    pub port: u16,
}

impl Snapshot {
    /// The Service of that name.
    #[must_use]
    pub fn service(&self, name: &ObjectName) -> Option<&Service> {
        self.services.iter().find(|service| service.name == *name)
    }

    /// Who answers on one port of a Service, each once, in order: by its EndpointSlices, or by its selector where there is
    /// no slice of it, as in manifests.
    #[must_use]
    pub fn backends(&self, service: &Service, port: &ServicePort) -> Vec<Backend> {
        let mut slices = self
            .slices
            .iter()
            .filter(|slice| {
                slice.name.namespace == service.name.namespace
                    && slice.service.as_deref() == Some(&service.name.name)
            })
            .peekable();
        let found: BTreeSet<Backend> = if slices.peek().is_some() {
            slices.flat_map(|slice| slice.backends(service, port)).collect()
        } else {
            self.pods
                .iter()
                .filter(|pod| service.selects(pod))
                .flat_map(|pod| selected(pod, service, port))
                .collect()
        };
        found.into_iter().collect()
    }
}

impl Service {
    fn selects(&self, pod: &Pod) -> bool {
        !self.selector.is_empty()
            && pod.name.namespace == self.name.namespace
            && !pod.phase.is_terminal()
            && self
                .selector
                .iter()
                .all(|(key, value)| pod.labels.get(key) == Some(value))
    }

    /// A headless Service translates nothing: clients dial the pods on the port they know.
    fn number_at(&self, port: &ServicePort, number: u16) -> u16 {
        if self.headless { port.port } else { number }
    }
}

impl EndpointSlice {
    fn backends<'a>(
        &'a self,
        service: &'a Service,
        port: &'a ServicePort,
    ) -> impl Iterator<Item = Backend> + 'a {
        let of_port = |entry: &&EndpointPort| {
            let same_name =
                entry.name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default();
            same_name && entry.protocol == port.protocol
        };
        let numbers = self.ports.iter().filter(of_port).filter_map(|entry| entry.port);
        numbers.flat_map(move |number| {
            self.endpoints
                .iter()
                .filter(|endpoint| endpoint.ready)
                .flat_map(move |endpoint| {
                    endpoint.addresses.iter().map(move |address| Backend {
                        pod: endpoint.pod.clone(),
                        address: Some(*address),
                        port: service.number_at(port, number),
                    })
                })
        })
    }
}

fn selected(pod: &Pod, service: &Service, port: &ServicePort) -> Vec<Backend> {
    let number = match &port.target {
        TargetPort::Number(number) => Some(*number),
        TargetPort::Name(name) => pod
            .ports
            .iter()
            .find(|declared| declared.protocol == port.protocol && declared.name.as_ref() == Some(name))
            .map(|declared| declared.port),
    };
    let Some(number) = number else { return Vec::new() };
    let backend = |address| Backend {
        pod: Some(pod.name.clone()),
        address,
        port: service.number_at(port, number),
    };
    if pod.ips.is_empty() {
        return vec![backend(None)];
    }
    [Family::Ipv4, Family::Ipv6]
        .into_iter()
        .filter_map(|family| pod.address(family))
        .map(|address| backend(Some(address)))
        .collect()
}
