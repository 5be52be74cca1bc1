//! Random pods: of both nodes' networks, of one family, without an address, over.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::generate_words::{NAMES, NAMESPACES, NODES, NUMBERS, labels, protocol};
use crate::cluster::{ContainerPort, ObjectName, Phase, Pod};

/// Both addresses of a node.
pub(super) fn node_addresses(node: usize) -> Vec<IpAddr> {
    vec![
        format!("192.168.0.{}", node + 1).parse().unwrap(),
        format!("fd01::{}", node + 1).parse().unwrap(),
    ]
}

/// A pod before it has its place among the others.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    namespace: &'static str,
    node: usize,
    labels: BTreeMap<String, String>,
    phase: Phase,
    host_network: bool,
    addressed: Addressed,
    ports: Vec<ContainerPort>,
}

/// Which addresses a pod has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addressed {
    Both,
    Ipv4,
    Ipv6,
    /// None yet: it waits on its node.
    Pending,
    /// None yet, and no node: it is a workload's template, or waits for its scheduling.
    Unscheduled,
}

impl Draft {
    pub(super) fn build(mut self, index: usize) -> Pod {
        let mut names = BTreeSet::new();
        self.ports
            .retain(|port| port.name.as_ref().is_none_or(|name| names.insert(name.clone())));
        Pod {
            name: ObjectName::new(self.namespace, format!("pod-{index}")),
            uid: None,
            node: (self.addressed != Addressed::Unscheduled).then(|| NODES[self.node].to_owned()),
            ips: self.addresses(index),
            labels: self.labels,
            host_network: self.host_network,
            phase: self.phase,
            ports: self.ports,
            workload: None,
        }
    }

    fn addresses(&self, index: usize) -> Vec<IpAddr> {
        // The address of a pod that is over may be the next pod's by now (R28); all others differ.
        let place = if self.phase.is_terminal() {
            index + 1
        } else {
            index
        };
        let (ipv4, ipv6) = match self.addressed {
            Addressed::Both => (true, true),
            Addressed::Ipv4 => (true, false),
            Addressed::Ipv6 => (false, true),
            Addressed::Pending | Addressed::Unscheduled => (false, false),
        };
        let mut addresses = if self.host_network {
            node_addresses(self.node)
        } else {
            vec![
                format!("10.0.{}.{}", place % 2, 10 + place).parse().unwrap(),
                format!("fd00:0:0:{}::{}", place % 2, 10 + place).parse().unwrap(),
            ]
        };
        addresses.retain(|address| if address.is_ipv4() { ipv4 } else { ipv6 });
        addresses
    }
}

/// Pods.
pub(super) fn pod() -> impl Strategy<Value = Draft> {
    let phase = prop_oneof![
        12 => Just(Phase::Running),
        1 => Just(Phase::Pending),
        1 => Just(Phase::Succeeded),
        1 => Just(Phase::Failed),
        1 => Just(Phase::Unknown),
    ];
    // A name is unique within its pod, as the API asks (ContainerPort.name); what it does not refuse across containers
    // is open, and not for the two readings to agree on.
    let port = (option::of(select(&NAMES[..])), select(&NUMBERS[..]), protocol()).prop_map(
        |(name, port, protocol)| ContainerPort {
            sidecar: false,
            name: name.map(str::to_owned),
            port,
            protocol,
        },
    );
    let addressed = prop_oneof![
        6 => Just(Addressed::Both),
        1 => Just(Addressed::Ipv4),
        1 => Just(Addressed::Ipv6),
        1 => Just(Addressed::Pending),
        1 => Just(Addressed::Unscheduled),
    ];
    (
        select(&NAMESPACES[..]),
        0..NODES.len(),
        labels(),
        phase,
        prop::bool::weighted(0.15),
        addressed,
        vec(port, 0..4),
    )
        .prop_map(
            |(namespace, node, labels, phase, host_network, addressed, ports)| Draft {
                namespace,
                node,
                labels,
                phase,
                host_network,
                addressed,
                ports,
            },
        )
}
