//! The doors of a node: which addresses and ports stand for which pods.

use std::net::IpAddr;

use crate::{
    cluster::{Service, Snapshot},
    lab::LabNode,
    net::{Family, Protocol},
};

/// An address and a port that stand for others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lab) struct Door {
    pub(in crate::lab) address: IpAddr,
    pub(in crate::lab) protocol: Protocol,
    pub(in crate::lab) port: u16,
    pub(in crate::lab) side: Side,
    /// The pods behind it, by address and port, of the door's family.
    pub(in crate::lab) behind: Vec<(IpAddr, u16)>,
    /// Those of them that are on this node.
    pub(in crate::lab) here: Vec<(IpAddr, u16)>,
    pub(in crate::lab) service: String,
}

/// For whom a door is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lab) enum Side {
    /// For the cluster: a Service's own address.
    Within,
    /// For the outside: a node's port or an external address. `externalTrafficPolicy: Cluster` puts the node's address in the
    /// client's place.
    Rewriting,
    /// For the outside, by `externalTrafficPolicy: Local`: the client's address stays, and only pods of the node answer it.
    Keeping,
}

/// The doors of a node. A headless Service has none: its name stands for its pods.
pub(in crate::lab) fn doors(snapshot: &Snapshot, node: &LabNode) -> Vec<Door> {
    let mut doors: Vec<Door> = snapshot
        .services
        .iter()
        .filter(|service| !service.headless)
        .flat_map(|service| doors_of(snapshot, node, service))
        .collect();
    doors.sort();
    // Two Services that claim one address and port: the first has it.
    doors.dedup_by_key(|door| (door.address, door.protocol, door.port));
    doors
}

fn doors_of(snapshot: &Snapshot, node: &LabNode, service: &Service) -> Vec<Door> {
    let outside = if service.keeps_client_address {
        Side::Keeping
    } else {
        Side::Rewriting
    };
    let mut doors = Vec::new();
    for port in &service.ports {
        let backends = snapshot.backends(service, port);
        let is_here = |address: IpAddr| {
            snapshot
                .pods
                .iter()
                .any(|pod| pod.node.as_ref() == Some(&node.name) && pod.ips.contains(&address))
        };
        let mut open = |address: &IpAddr, number: u16, side: Side| {
            let family = Family::of(*address);
            let behind: Vec<(IpAddr, u16)> = backends
                .iter()
                .filter_map(|backend| Some((backend.address?, backend.port)))
                .filter(|(address, _)| Family::of(*address) == family)
                .collect();
            doors.push(Door {
                address: *address,
                protocol: port.protocol,
                port: number,
                side,
                here: behind
                    .iter()
                    .copied()
                    .filter(|(address, _)| is_here(*address))
                    .collect(),
                behind,
                service: service.name.to_string(),
            });
        };
        service
            .cluster_ips
            .iter()
            .for_each(|address| open(address, port.port, Side::Within));
        service
            .external_ips
            .iter()
            .for_each(|address| open(address, port.port, outside));
        if let Some(number) = port.node_port {
            node.addresses
                .iter()
                .for_each(|address| open(address, number, outside));
        }
    }
    doors
}
