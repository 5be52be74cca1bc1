//! Which pods stand behind the addresses of Services and the ports of nodes: for packets that were stopped before they
//! were translated.

use std::{collections::HashMap, net::IpAddr};

use crate::{
    cluster::{Backend, ObjectName, Service, ServicePort, Snapshot},
    net::Protocol,
};

/// What stands behind one port of one address.
#[derive(Clone, Debug)]
pub(super) struct Behind {
    pub(super) service: ObjectName,
    pub(super) backends: Vec<Backend>,
    /// Whether a node hands the packet on and may put an address of its own in the client's place (R20).
    pub(super) may_rewrite: bool,
}

/// All of them, as of one moment.
#[derive(Debug, Default)]
pub(super) struct Services {
    by_address: HashMap<(IpAddr, Protocol, u16), Behind>,
    by_node_port: HashMap<(Protocol, u16), Behind>,
    addresses: HashMap<IpAddr, ObjectName>,
    /// Whether some Service has no slices, so that its pods are found by their labels.
    pub(super) goes_by_pods: bool,
}

impl Services {
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let mut all = Self::default();
        for service in snapshot.services.iter().filter(|service| !service.headless) {
            let has_slice = snapshot.slices.iter().any(|slice| {
                slice.name.namespace == service.name.namespace
                    && slice.service.as_deref() == Some(&service.name.name)
            });
            all.goes_by_pods |= !has_slice && !service.selector.is_empty();
            for port in &service.ports {
                all.take(snapshot, service, port);
            }
        }
        all
    }

    fn take(&mut self, snapshot: &Snapshot, service: &Service, port: &ServicePort) {
        let behind = Behind {
            service: service.name.clone(),
            backends: snapshot.backends(service, port),
            may_rewrite: false,
        };
        let from_outside = Behind {
            may_rewrite: !service.keeps_client_address,
            ..behind.clone()
        };
        let own = service.cluster_ips.iter().map(|address| (address, &behind));
        let external = service
            .external_ips
            .iter()
            .map(|address| (address, &from_outside));
        for (address, behind) in own.chain(external) {
            let address = address.to_canonical();
            self.addresses.insert(address, service.name.clone());
            self.by_address
                .insert((address, port.protocol, port.port), behind.clone());
        }
        if let Some(number) = port.node_port {
            self.by_node_port.insert((port.protocol, number), from_outside);
        }
    }

    /// What stands behind a port of an address; of a node's address where it is one.
    pub(super) fn behind(
        &self,
        address: IpAddr,
        protocol: Protocol,
        port: u16,
        is_node: bool,
    ) -> Option<&Behind> {
        let by_node = is_node
            .then(|| self.by_node_port.get(&(protocol, port)))
            .flatten();
        self.by_address
            .get(&(address.to_canonical(), protocol, port))
            .or(by_node)
    }

    /// The Service that has an address, whatever its ports.
    pub(super) fn at(&self, address: IpAddr) -> Option<&ObjectName> {
        self.addresses.get(&address.to_canonical())
    }
}
