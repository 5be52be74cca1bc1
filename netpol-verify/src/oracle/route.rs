//! From the ends that were asked about to the connections that packets would make: Services become their pods, blocks their
//! stretches, names their addresses.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;

use super::end::{AskedEnd, AskedPort, Question};
use crate::{
    cluster::{ObjectName, Pod, Service, ServicePort, Snapshot},
    net::{Family, Protocol},
    policy::{End, PolicySet, Traffic, Translation, between, facing},
};

/// The most stretches of a block, and pods of a Service, that one question is answered for.
const MOST: usize = 64;

/// One connection that the question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) traffic: Traffic,
}

/// The question is about something that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No such pod.
    #[error("there is no pod {name}{}", hint(.known))]
    NoPod {
        /// What was asked.
        name: ObjectName,
        /// Pods of that namespace, or namespaces where it has none.
        known: Vec<String>,
    },
    /// No such Service.
    #[error("there is no Service {name}{}", hint(.known))]
    NoService {
        /// What was asked.
        name: ObjectName,
        /// Services of that namespace.
        known: Vec<String>,
    },
    /// The Service has no such port.
    #[error("Service {name} has no port {port}; it has {}", .known.join(", "))]
    NoServicePort {
        /// The Service.
        name: ObjectName,
        /// What was asked.
        port: String,
        /// Its ports.
        known: Vec<String>,
    },
    /// Nothing answers behind the Service.
    #[error(
        "no pod stands behind Service {name} port {port}: it selects none that is alive, or none declares its target port"
    )]
    NoBackend {
        /// The Service.
        name: ObjectName,
        /// The port.
        port: u16,
    },
    /// The pod declares no port of that name.
    #[error("{pod} declares no port named {port}")]
    NoNamedPort {
        /// The pod.
        pod: ObjectName,
        /// The name.
        port: String,
    },
    /// Names belong to Services and pods.
    #[error("a port's name says nothing of an address; give a number")]
    NameAtAddress,
    /// Both ends are no pods.
    #[error("no end is a pod, so that no policy speaks of it")]
    NoPodInIt,
    /// The two ends have no address family in common.
    #[error("{from} and {to} have no address family in common, so that no packet goes between them")]
    NoFamily {
        /// The source.
        from: String,
        /// The destination.
        to: String,
    },
}

fn hint(known: &[String]) -> String {
    if known.is_empty() {
        return String::new();
    }
    let shown: Vec<&str> = known.iter().take(8).map(String::as_str).collect();
    let more = known.len().saturating_sub(shown.len());
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("; there are {}{more}", shown.join(", "))
}

/// What stands at one end.
enum Place<'a> {
    Pod(&'a Pod),
    Ends(Vec<(String, End)>),
}

/// The connections that a question is about, at most [`MOST`]; the second number says how many there would be.
pub(super) fn routes(
    snapshot: &Snapshot,
    set: &PolicySet,
    question: &Question,
) -> Result<(Vec<Route>, usize), RouteError> {
    let sources = sources(snapshot, set, &question.from)?;
    let targets = targets(snapshot, set, question)?;
    let mut routes = Vec::new();
    for (from_shown, source) in &sources {
        for target in &targets {
            for (from, to) in ends(source, &target.place) {
                let is_about_pods = [&from, &to].iter().any(|end| matches!(end, End::Pod { .. }));
                if !is_about_pods {
                    return Err(RouteError::NoPodInIt);
                }
                let family = from.address().or(to.address()).map(Family::of);
                let to_shown = match &target.place {
                    Place::Pod(_) => target.shown.clone(),
                    Place::Ends(ends) => ends
                        .iter()
                        .find(|(_, end)| *end == to)
                        .map_or_else(|| target.shown.clone(), |(shown, _)| shown.clone()),
                };
                let from_shown = match source {
                    Place::Pod(_) => from_shown.clone(),
                    Place::Ends(ends) => ends
                        .iter()
                        .find(|(_, end)| *end == from)
                        .map_or_else(|| from_shown.clone(), |(shown, _)| shown.clone()),
                };
                routes.push(Route {
                    from: from_shown,
                    to: to_shown,
                    traffic: Traffic {
                        via: target.via.as_ref().and_then(|via| via.in_family(family)),
                        ..Traffic::direct(from, to, target.protocol, target.port)
                    },
                });
            }
        }
    }
    if routes.is_empty() {
        return Err(RouteError::NoFamily {
            from: question.from.to_string(),
            to: question.to.to_string(),
        });
    }
    let all = routes.len();
    routes.truncate(MOST);
    Ok((routes, all))
}

/// One destination: a place, the port there, and what is translated on the way.
struct Target<'a> {
    shown: String,
    place: Place<'a>,
    protocol: Protocol,
    port: u16,
    via: Option<Via>,
}

/// What a Service or a node's port translates, in both families.
#[derive(Clone, Debug, Default)]
struct Via {
    dialled: Vec<SocketAddr>,
    rewritten: Vec<IpAddr>,
}

impl Via {
    fn in_family(&self, family: Option<Family>) -> Option<Translation> {
        let is_meant = |address: IpAddr| family.is_none_or(|family| Family::of(address) == family);
        let mut dialled = self.dialled.iter().copied();
        let rewritten = self.rewritten.iter().copied();
        Some(Translation {
            dialled: dialled.find(|dialled| is_meant(dialled.ip())),
            rewritten: rewritten.filter(|address| is_meant(*address)).collect(),
        })
    }
}

fn ends(source: &Place<'_>, target: &Place<'_>) -> Vec<(End, End)> {
    match (source, target) {
        (Place::Pod(from), Place::Pod(to)) => between(from, to),
        (Place::Pod(from), Place::Ends(ends)) => ends
            .iter()
            .filter_map(|(_, to)| Some((facing(from, to.address()?)?, to.clone())))
            .collect(),
        (Place::Ends(ends), Place::Pod(to)) => ends
            .iter()
            .filter_map(|(_, from)| Some((from.clone(), facing(to, from.address()?)?)))
            .collect(),
        (Place::Ends(froms), Place::Ends(tos)) => froms
            .iter()
            .flat_map(|(_, from)| tos.iter().map(move |(_, to)| (from.clone(), to.clone())))
            .filter(|(from, to)| {
                let families = from.address().zip(to.address());
                families.is_none_or(|(from, to)| Family::of(from) == Family::of(to))
            })
            .collect(),
    }
}

fn sources<'a>(
    snapshot: &'a Snapshot,
    set: &PolicySet,
    asked: &AskedEnd,
) -> Result<Vec<(String, Place<'a>)>, RouteError> {
    match asked {
        AskedEnd::Service(name) => {
            let service = service(snapshot, name)?;
            let pods: BTreeSet<ObjectName> = service
                .ports
                .iter()
                .flat_map(|port| snapshot.backends(service, port))
                .filter_map(|backend| backend.pod)
                .collect();
            let places: Vec<_> = pods
                .iter()
                .filter_map(|pod| snapshot.pod(pod))
                .map(|pod| (pod.name.to_string(), Place::Pod(pod)))
                .collect();
            if places.is_empty() {
                let port = service.ports.first().map_or(0, |port| port.port);
                return Err(RouteError::NoBackend {
                    name: name.clone(),
                    port,
                });
            }
            Ok(places)
        }
        other => Ok(vec![(other.to_string(), place(snapshot, set, other)?)]),
    }
}

fn place<'a>(snapshot: &'a Snapshot, set: &PolicySet, asked: &AskedEnd) -> Result<Place<'a>, RouteError> {
    match asked {
        AskedEnd::Pod(name) => pod(snapshot, name).map(Place::Pod),
        AskedEnd::Address(address) => Ok(at_address(snapshot, *address)),
        AskedEnd::Block(block) => Ok(Place::Ends(stretches(snapshot, set, *block))),
        // A Service is no place: its pods are.
        AskedEnd::Service(name) => Err(RouteError::NoService {
            name: name.clone(),
            known: Vec::new(),
        }),
    }
}

fn pod<'a>(snapshot: &'a Snapshot, name: &ObjectName) -> Result<&'a Pod, RouteError> {
    snapshot.pod(name).ok_or_else(|| {
        let mut known: Vec<String> = snapshot
            .pods
            .iter()
            .filter(|pod| pod.name.namespace == name.namespace)
            .map(|pod| pod.name.to_string())
            .collect();
        if known.is_empty() {
            known = snapshot
                .namespaces
                .iter()
                .map(|namespace| format!("namespace {}", namespace.name))
                .collect();
        }
        RouteError::NoPod {
            name: name.clone(),
            known,
        }
    })
}

fn service<'a>(snapshot: &'a Snapshot, name: &ObjectName) -> Result<&'a Service, RouteError> {
    snapshot.service(name).ok_or_else(|| RouteError::NoService {
        name: name.clone(),
        known: snapshot
            .services
            .iter()
            .filter(|service| service.name.namespace == name.namespace)
            .map(|service| service.name.to_string())
            .collect(),
    })
}

/// An address is a live pod's, a node's, or outside. One that a pod and its node share (hostNetwork) is the node's.
fn at_address(snapshot: &Snapshot, address: IpAddr) -> Place<'_> {
    let pod = snapshot
        .pods
        .iter()
        .find(|pod| !pod.host_network && !pod.phase.is_terminal() && pod.ips.contains(&address));
    if let Some(pod) = pod {
        let end = End::Pod {
            name: pod.name.clone(),
            address: Some(address),
        };
        return Place::Ends(vec![(format!("{address} ({})", pod.name), end)]);
    }
    let node = snapshot
        .nodes
        .iter()
        .find(|node| node.addresses.contains(&address));
    Place::Ends(vec![match node {
        Some(node) => (
            format!("{address} (node {})", node.name),
            End::Node {
                name: node.name.clone(),
                address,
            },
        ),
        None => (address.to_string(), End::Address(address)),
    }])
}

/// The stretches of a block that some policy may tell apart, each by its first address that is no pod's and no node's.
fn stretches(snapshot: &Snapshot, set: &PolicySet, block: IpNet) -> Vec<(String, End)> {
    let taken: BTreeSet<IpAddr> = snapshot
        .pods
        .iter()
        .flat_map(|pod| &pod.ips)
        .chain(snapshot.nodes.iter().flat_map(|node| &node.addresses))
        .map(IpAddr::to_canonical)
        .collect();
    set.stretches(block)
        .into_iter()
        .filter_map(|(first, last)| {
            let mut candidates = std::iter::successors(Some(first), |address| next(*address));
            let free = candidates
                .by_ref()
                .take_while(|address| *address <= last)
                .find(|address| !taken.contains(address))?;
            let shown = if first == last {
                first.to_string()
            } else {
                format!("{first} to {last}")
            };
            Some((shown, End::Address(free)))
        })
        .collect()
}

fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => v4.to_bits().checked_add(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(v6) => v6.to_bits().checked_add(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

fn targets<'a>(
    snapshot: &'a Snapshot,
    set: &PolicySet,
    question: &Question,
) -> Result<Vec<Target<'a>>, RouteError> {
    match &question.to {
        AskedEnd::Service(name) => of_service(snapshot, service(snapshot, name)?, question, false),
        AskedEnd::Address(address) => match dialled_service(snapshot, *address, question) {
            Some((service, by_node)) => of_service(snapshot, service, question, by_node),
            None => direct(snapshot, set, question),
        },
        AskedEnd::Pod(_) | AskedEnd::Block(_) => direct(snapshot, set, question),
    }
}

/// A destination that nothing translates.
fn direct<'a>(
    snapshot: &'a Snapshot,
    set: &PolicySet,
    question: &Question,
) -> Result<Vec<Target<'a>>, RouteError> {
    let place = |()| place(snapshot, set, &question.to);
    let pod = match place(())? {
        Place::Pod(pod) => Some(pod),
        Place::Ends(_) => None,
    };
    let ports: Vec<(Protocol, u16)> = match (&question.port, pod) {
        (Some(AskedPort::Number(number)), _) => vec![(question.protocol.unwrap_or_default(), *number)],
        (Some(AskedPort::Name(name)), Some(pod)) => {
            let named: Vec<_> = pod
                .ports
                .iter()
                .filter(|port| port.name.as_ref() == Some(name))
                .filter(|port| question.protocol.is_none_or(|protocol| protocol == port.protocol))
                .map(|port| (port.protocol, port.port))
                .collect();
            if named.is_empty() {
                return Err(RouteError::NoNamedPort {
                    pod: pod.name.clone(),
                    port: name.clone(),
                });
            }
            named
        }
        (Some(AskedPort::Name(_)), None) => return Err(RouteError::NameAtAddress),
        (None, pod) => ports_that_matter(snapshot, pod),
    };
    ports
        .into_iter()
        .map(|(protocol, port)| {
            Ok(Target {
                shown: question.to.to_string(),
                place: place(())?,
                protocol,
                port,
                via: None,
            })
        })
        .collect()
}

/// What a pod declares, else what the policies name, else the port that everybody asks about.
fn ports_that_matter(snapshot: &Snapshot, pod: Option<&Pod>) -> Vec<(Protocol, u16)> {
    let declared: BTreeSet<(Protocol, u16)> = pod
        .into_iter()
        .flat_map(|pod| &pod.ports)
        .map(|port| (port.protocol, port.port))
        .collect();
    let ports = if declared.is_empty() {
        snapshot.ports()
    } else {
        declared
    };
    if ports.is_empty() {
        vec![(Protocol::Tcp, 80)]
    } else {
        ports.into_iter().collect()
    }
}

/// The Service that an address stands for: its own or its load balancer's, or a node's with a port of the Service.
fn dialled_service<'a>(
    snapshot: &'a Snapshot,
    address: IpAddr,
    question: &Question,
) -> Option<(&'a Service, bool)> {
    let own = snapshot
        .services
        .iter()
        .find(|service| service.cluster_ips.contains(&address) || service.external_ips.contains(&address));
    if let Some(service) = own {
        return Some((service, false));
    }
    let is_node = snapshot
        .nodes
        .iter()
        .any(|node| node.addresses.contains(&address));
    let Some(AskedPort::Number(number)) = question.port else {
        return None;
    };
    let by_port = |service: &&Service| {
        service.ports.iter().any(|port| {
            port.node_port == Some(number)
                && question.protocol.is_none_or(|protocol| protocol == port.protocol)
        })
    };
    snapshot
        .services
        .iter()
        .find(by_port)
        .filter(|_| is_node)
        .map(|service| (service, true))
}

fn of_service<'a>(
    snapshot: &'a Snapshot,
    service: &'a Service,
    question: &Question,
    by_node: bool,
) -> Result<Vec<Target<'a>>, RouteError> {
    let is_asked = |port: &&ServicePort| {
        let same = match &question.port {
            None => true,
            Some(AskedPort::Number(number)) if by_node => port.node_port == Some(*number),
            Some(AskedPort::Number(number)) => port.port == *number,
            Some(AskedPort::Name(name)) => port.name.as_ref() == Some(name),
        };
        same && question.protocol.is_none_or(|protocol| protocol == port.protocol)
    };
    let ports: Vec<&ServicePort> = service.ports.iter().filter(is_asked).collect();
    if ports.is_empty() {
        return Err(RouteError::NoServicePort {
            name: service.name.clone(),
            port: question
                .port
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
            known: service
                .ports
                .iter()
                .map(|port| match &port.name {
                    Some(name) => format!("{}/{} ({name})", port.port, port.protocol),
                    None => format!("{}/{}", port.port, port.protocol),
                })
                .collect(),
        });
    }
    let mut targets = Vec::new();
    for port in ports {
        let backends = snapshot.backends(service, port);
        if backends.is_empty() {
            return Err(RouteError::NoBackend {
                name: service.name.clone(),
                port: port.port,
            });
        }
        for backend in backends {
            let shown = match (&backend.pod, backend.address) {
                (Some(pod), _) => pod.to_string(),
                (None, Some(address)) => address.to_string(),
                (None, None) => continue,
            };
            let end = match (&backend.pod, backend.address) {
                (Some(name), address) => End::Pod {
                    name: name.clone(),
                    address,
                },
                (None, Some(address)) => End::Address(address),
                (None, None) => continue,
            };
            let place = match (&end, backend.pod.as_ref().and_then(|name| snapshot.pod(name))) {
                (End::Pod { address: None, .. }, Some(pod)) => Place::Pod(pod),
                _ => Place::Ends(vec![(shown.clone(), end)]),
            };
            targets.push(Target {
                shown,
                place,
                protocol: port.protocol,
                port: backend.port,
                via: via(snapshot, service, port, &question.to, by_node),
            });
        }
    }
    Ok(targets)
}

/// What is translated on the way to a Service: nothing for a headless one; the client's address too where a node or a load
/// balancer hands the packet on and may put its own in its place (R20).
fn via(
    snapshot: &Snapshot,
    service: &Service,
    port: &ServicePort,
    to: &AskedEnd,
    by_node: bool,
) -> Option<Via> {
    if service.headless {
        return None;
    }
    let from_outside =
        by_node || matches!(to, AskedEnd::Address(address) if service.external_ips.contains(address));
    let rewritten = if from_outside && !service.keeps_client_address {
        snapshot
            .nodes
            .iter()
            .flat_map(|node| node.addresses.clone())
            .collect()
    } else {
        Vec::new()
    };
    let number = port.node_port.filter(|_| by_node).unwrap_or(port.port);
    let addresses = match to {
        AskedEnd::Address(address) => vec![*address],
        AskedEnd::Pod(_) | AskedEnd::Service(_) | AskedEnd::Block(_) => service.cluster_ips.clone(),
    };
    Some(Via {
        dialled: addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, number))
            .collect(),
        rewritten,
    })
}
