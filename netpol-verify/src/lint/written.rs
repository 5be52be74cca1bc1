//! Policies as they are written, field by field, with the path of each: what lint reads. The door for Kubernetes' types.
//!
//! What a field means is read by the compiler's own readers, so that the two never differ on what is valid.

use k8s_openapi::{
    api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use super::groups::{GroupId, Groups};
use crate::{
    cluster::{ObjectName, Place, SourcedPolicy, path::FieldPath},
    net::Protocol,
    policy::{
        Direction, Selector,
        compile_port::{WrittenPort, entry},
        compile_rule::{WrittenRule, isolates},
        compile_selector::requirements,
    },
};

/// A NetworkPolicy.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub(super) name: ObjectName,
    pub(super) place: &'a Place,
    /// `spec.podSelector`; none where the API would refuse it.
    pub(super) subject: Option<Selector>,
    /// The pods it selects.
    pub(super) subjects: Vec<GroupId>,
    /// Whether `policyTypes` says anything.
    pub(super) has_types: bool,
    pub(super) ingress: Way,
    pub(super) egress: Way,
}

/// One direction of a policy.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) direction: Direction,
    /// Whether the policy isolates its pods in it (R3).
    pub(super) isolates: bool,
    /// Whether the list is there, be it empty.
    pub(super) is_there: bool,
    pub(super) rules: Vec<Rule>,
}

/// A rule. Without peers it means anybody, without ports every port (R6).
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) path: FieldPath,
    pub(super) peers: Vec<Peer>,
    pub(super) ports: Vec<Port>,
}

/// An entry of `from` or `to`.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) path: FieldPath,
    pub(super) what: PeerKind,
}

#[derive(Debug)]
pub(super) enum PeerKind {
    /// Pods by selectors; `namespaces` is absent for those of the policy's own namespace.
    Pods {
        namespaces: Option<Selector>,
        pods: Option<Selector>,
        /// Whom both select together.
        groups: Vec<GroupId>,
    },
    /// An `ipBlock`.
    Block { cidr: String, except: Vec<String> },
    /// What the API would refuse; it matches nothing.
    Invalid,
}

/// An entry of `ports`.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) path: FieldPath,
    pub(super) protocol: Protocol,
    pub(super) what: PortKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PortKind {
    /// These numbers, both ends included; all of them where no port is written.
    Numbers(u16, u16),
    /// What the destination pod gives this name to.
    Name(String),
    /// What the API would refuse; it matches nothing.
    Invalid,
}

impl<'a> Written<'a> {
    pub(super) fn new(sourced: &'a SourcedPolicy, groups: &Groups<'_>) -> Self {
        let name = sourced.name();
        let top = FieldPath::of("spec");
        let spec = sourced.object.spec.as_ref();
        let subject = selector(spec.and_then(|spec| spec.pod_selector.as_ref()));
        let types = spec.and_then(|spec| spec.policy_types.as_ref());
        let has_types = types
            .into_iter()
            .flatten()
            .any(|it| matches!(it.as_str(), "Ingress" | "Egress"));
        let (isolates_ingress, isolates_egress) = isolates(&sourced.object);
        let ingress = spec.and_then(|spec| spec.ingress.as_deref());
        let egress = spec.and_then(|spec| spec.egress.as_deref());
        let ingress = Way {
            direction: Direction::Ingress,
            isolates: isolates_ingress,
            is_there: ingress.is_some(),
            rules: rules_of(ingress.unwrap_or_default(), &top.key("ingress"), &name, groups),
        };
        let egress = Way {
            direction: Direction::Egress,
            isolates: isolates_egress,
            is_there: egress.is_some(),
            rules: rules_of(egress.unwrap_or_default(), &top.key("egress"), &name, groups),
        };
        Self {
            subjects: subject
                .as_ref()
                .map(|wanted| groups.selected_in(&name.namespace, wanted))
                .unwrap_or_default(),
            place: &sourced.place,
            subject,
            has_types,
            ingress,
            egress,
            name,
        }
    }

    /// As findings name it.
    pub(super) fn object(&self) -> String {
        format!("NetworkPolicy {}", self.name)
    }

    pub(super) const fn ways(&self) -> [&Way; 2] {
        [&self.ingress, &self.egress]
    }

    pub(super) const fn way(&self, direction: Direction) -> &Way {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    /// The rules that something asks, with their directions.
    pub(super) fn live_rules(&self) -> impl Iterator<Item = (Direction, &Rule)> {
        let ways = self.ways().into_iter().filter(|way| way.isolates);
        ways.flat_map(|way| way.rules.iter().map(move |rule| (way.direction, rule)))
    }
}

impl Rule {
    /// Whether some entry is one that the API would refuse.
    pub(super) fn is_invalid(&self) -> bool {
        self.peers
            .iter()
            .any(|peer| matches!(peer.what, PeerKind::Invalid))
            || self.ports.iter().any(|port| port.what == PortKind::Invalid)
    }

    /// Whether it lets everybody through on every port.
    pub(super) const fn is_open_to_all(&self) -> bool {
        self.peers.is_empty() && self.ports.is_empty()
    }

    /// `TCP/80 and UDP/53`, as far as numbers and names say it.
    pub(super) fn ports_in_words(&self) -> String {
        if self.ports.is_empty() {
            return "every port".to_owned();
        }
        super::finding::listed(&self.ports)
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.what {
            PortKind::Numbers(1, u16::MAX) => write!(f, "every {} port", self.protocol),
            PortKind::Numbers(first, last) if first == last => write!(f, "{}/{first}", self.protocol),
            PortKind::Numbers(first, last) => write!(f, "{}/{first}-{last}", self.protocol),
            PortKind::Name(name) => write!(f, "{}/{name}", self.protocol),
            PortKind::Invalid => write!(f, "an invalid port"),
        }
    }
}

/// A selector; absent means everything, and none is one that the API would refuse.
pub(super) fn selector(written: Option<&LabelSelector>) -> Option<Selector> {
    let Some(written) = written else {
        return Some(Selector::default());
    };
    let read: Result<Vec<_>, _> = requirements(written).map(|(_, it)| it).collect();
    read.ok().map(Selector::new)
}

fn rules_of<R: WrittenRule>(
    written: &[R],
    path: &FieldPath,
    policy: &ObjectName,
    groups: &Groups<'_>,
) -> Vec<Rule> {
    let rules = written.iter().enumerate();
    rules
        .map(|(index, rule)| {
            let path = path.index(index);
            Rule {
                peers: peers_of(rule.peers(), &path.key(R::PEERS), policy, groups),
                ports: ports_of(rule.ports(), &path.key("ports")),
                path,
            }
        })
        .collect()
}

fn peers_of(
    written: &[NetworkPolicyPeer],
    path: &FieldPath,
    policy: &ObjectName,
    groups: &Groups<'_>,
) -> Vec<Peer> {
    let peers = written.iter().enumerate();
    peers
        .map(|(index, peer)| Peer {
            path: path.index(index),
            what: peer_of(peer, policy, groups).unwrap_or(PeerKind::Invalid),
        })
        .collect()
}

fn peer_of(peer: &NetworkPolicyPeer, policy: &ObjectName, groups: &Groups<'_>) -> Option<PeerKind> {
    let by_labels = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
    if let Some(block) = &peer.ip_block {
        return (!by_labels).then(|| PeerKind::Block {
            cidr: block.cidr.clone(),
            except: block.except.clone().unwrap_or_default(),
        });
    }
    if !by_labels {
        return None;
    }
    let (wanted, homes) = (
        selector(peer.pod_selector.as_ref())?,
        selector(peer.namespace_selector.as_ref())?,
    );
    let has_homes = peer.namespace_selector.is_some();
    Some(PeerKind::Pods {
        groups: if has_homes {
            groups.selected(&homes, &wanted)
        } else {
            groups.selected_in(&policy.namespace, &wanted)
        },
        namespaces: has_homes.then_some(homes),
        pods: peer.pod_selector.is_some().then_some(wanted),
    })
}

fn ports_of(written: &[NetworkPolicyPort], path: &FieldPath) -> Vec<Port> {
    let entries = written.iter().enumerate();
    entries
        .map(|(index, it)| {
            let (protocol, what) = match entry(it) {
                Ok(WrittenPort::All(protocol)) => (protocol, PortKind::Numbers(1, u16::MAX)),
                Ok(WrittenPort::Range(protocol, first, last)) => (protocol, PortKind::Numbers(first, last)),
                Ok(WrittenPort::Named(protocol, name)) => (protocol, PortKind::Name(name.to_owned())),
                Err(_) => (Protocol::Tcp, PortKind::Invalid),
            };
            Port {
                path: path.index(index),
                protocol,
                what,
            }
        })
        .collect()
}
