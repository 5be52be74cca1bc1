//! Whom a packet was for: the pod whose namespace saw it arrive, else whoever has the address that was dialled.

use std::net::{IpAddr, SocketAddr};

use super::{identity::Found, services::Behind, world::World};
use crate::{
    cluster::{Backend, ObjectName},
    net::{Netns, Protocol},
    policy::{End, Translation},
};

/// Whom a packet was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// One of these pods: several only where a Service's packet was stopped before anybody chose one.
    Pods {
        targets: Vec<Target>,
        /// The Service that was dialled, where nobody saw what it was translated to.
        service: Option<ObjectName>,
    },
    /// A node or an address outside: whether it arrived there is not seen.
    Elsewhere { end: End, port: u16 },
    /// Nobody can say. That may change.
    Unclear(String),
    /// The API leaves it open what may happen there.
    Open(String),
    /// Everybody on the link, or this link only: no policy speaks of it.
    Unaddressed,
}

/// One pod that it may have been for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) pod: ObjectName,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) via: Option<Translation>,
    /// Its namespace, where a sensor watches it.
    pub(super) home: Option<Netns>,
}

impl Target {
    pub(super) fn end(&self) -> End {
        End::Pod {
            name: self.pod.clone(),
            address: Some(self.address),
        }
    }
}

/// Finds out whom a packet was for that left for `dialled`, and arrived at `deliveries`.
pub(super) fn destination(
    world: &World,
    protocol: Protocol,
    dialled: SocketAddr,
    deliveries: impl Iterator<Item = (Netns, SocketAddr)>,
) -> Destination {
    if is_unaddressed(dialled.ip()) {
        return Destination::Unaddressed;
    }
    let mut arrived: Vec<(Netns, SocketAddr)> = deliveries.collect();
    arrived.sort_unstable();
    arrived.dedup();
    match arrived.as_slice() {
        [] => by_address(world, protocol, dialled),
        [(netns, at)] => by_delivery(world, protocol, dialled, *netns, *at),
        _ => Destination::Unclear("it arrived at more than one place".to_owned()),
    }
}

fn by_delivery(
    world: &World,
    protocol: Protocol,
    dialled: SocketAddr,
    netns: Netns,
    at: SocketAddr,
) -> Destination {
    let pod = match world.identity().of(netns) {
        Some(Found::Pod(pod)) => pod,
        Some(Found::Open(why)) => return Destination::Open((*why).to_owned()),
        None => return Destination::Unclear(format!("it arrived at {at}, in a namespace of no known pod")),
    };
    let address = at.ip().to_canonical();
    let is_own = world
        .state()
        .pod(pod)
        .is_some_and(|pod| pod.ips.iter().any(|one| one.to_canonical() == address));
    if !is_own {
        return Destination::Unclear(format!(
            "it arrived in {pod} for {address}, which is not that pod's address"
        ));
    }
    let target = Target {
        pod: pod.clone(),
        address,
        port: at.port(),
        via: translation(world, protocol, dialled, at.ip()),
        home: Some(netns),
    };
    Destination::Pods {
        targets: vec![target],
        service: None,
    }
}

/// What was translated on the way to where it arrived.
fn translation(world: &World, protocol: Protocol, dialled: SocketAddr, at: IpAddr) -> Option<Translation> {
    let address = dialled.ip().to_canonical();
    if address == at.to_canonical() {
        return None;
    }
    let is_node = world.identity().node_at(address).is_some();
    let behind = world
        .services()
        .behind(address, protocol, dialled.port(), is_node);
    Some(Translation {
        dialled: Some(SocketAddr::new(address, dialled.port())),
        rewritten: rewritten(world, behind.is_some_and(|behind| behind.may_rewrite)),
    })
}

fn rewritten(world: &World, may_rewrite: bool) -> Vec<IpAddr> {
    if !may_rewrite {
        return Vec::new();
    }
    world
        .state()
        .nodes()
        .flat_map(|node| node.addresses.iter().map(IpAddr::to_canonical))
        .collect()
}

fn by_address(world: &World, protocol: Protocol, dialled: SocketAddr) -> Destination {
    let address = dialled.ip().to_canonical();
    match world.identity().at(address) {
        [] => {}
        [pod] => {
            let target = Target {
                pod: pod.clone(),
                address,
                port: dialled.port(),
                via: None,
                home: world.identity().home(pod),
            };
            return Destination::Pods {
                targets: vec![target],
                service: None,
            };
        }
        several => {
            return Destination::Unclear(format!("{} pods have the address {address}", several.len()));
        }
    }
    let node = world.identity().node_at(address);
    let services = world.services();
    if let Some(behind) = services.behind(address, protocol, dialled.port(), node.is_some()) {
        return through(world, dialled, behind);
    }
    if let Some(service) = services.at(address) {
        return Destination::Unclear(format!(
            "Service {service} has no port {}/{protocol}",
            dialled.port()
        ));
    }
    if let Some(touch) = world.recent().vacated(address) {
        return Destination::Unclear(format!("the address was a pod's until {}", touch.what));
    }
    let end = match node {
        Some(name) => End::Node {
            name: name.to_owned(),
            address,
        },
        None => End::Address(address),
    };
    Destination::Elsewhere {
        end,
        port: dialled.port(),
    }
}

/// The pods behind a Service that was dialled, when nobody saw which one was chosen.
fn through(world: &World, dialled: SocketAddr, behind: &Behind) -> Destination {
    let address = dialled.ip().to_canonical();
    let via = Translation {
        dialled: Some(SocketAddr::new(address, dialled.port())),
        rewritten: rewritten(world, behind.may_rewrite),
    };
    let in_family = behind.backends.iter().filter(|backend| {
        backend
            .address
            .is_none_or(|one| one.is_ipv4() == address.is_ipv4())
    });
    let mut targets = Vec::new();
    for backend in in_family {
        let Backend {
            pod: Some(pod),
            address: Some(own),
            port,
        } = backend
        else {
            return Destination::Unclear(format!(
                "not everything behind Service {} is a pod with an address",
                behind.service
            ));
        };
        targets.push(Target {
            pod: pod.clone(),
            address: own.to_canonical(),
            port: *port,
            via: Some(via.clone()),
            home: world.identity().home(pod),
        });
    }
    if targets.is_empty() {
        return Destination::Unclear(format!("no pod stands behind Service {}", behind.service));
    }
    Destination::Pods {
        targets,
        service: Some(behind.service.clone()),
    }
}

/// Whether an address is for a whole link, or means something on one link only.
pub(super) fn is_unaddressed(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified() || v4.is_loopback(),
        IpAddr::V6(v6) => {
            v6.is_multicast() || v6.is_unspecified() || v6.is_loopback() || v6.is_unicast_link_local()
        }
    }
}
