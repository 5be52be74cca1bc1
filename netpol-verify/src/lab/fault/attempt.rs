//! An attempt, as a prediction asks the literal reading about it.
//!
//! ```text
//!  client -> its node: egress is asked -> [the node of a port: translated there] -> the pod's node: ingress is asked -> pod
//! ```
//!
//! A Service's own address is translated at the client's node before egress is asked; a node's port at that node. What egress
//! sees of a port of another node is that node; what ingress sees of a client that another node hides is that node.

use std::net::IpAddr;

use crate::{
    cluster::{ObjectName, Pod, Snapshot},
    lab::{
        LabNode, LabPod, World,
        literal::{Party, Reading, Way, isolating, permits},
        topology::OUTSIDE,
    },
    net::{Family, Protocol},
};

/// An attempt between two ends by their first addresses of a family.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// From which pod; none is the one outside.
    pub from: Option<&'a ObjectName>,
    /// To which pod; none is the one outside.
    pub to: Option<&'a ObjectName>,
    /// By which family.
    pub family: Family,
    /// The protocol.
    pub protocol: Protocol,
    /// The port at the destination.
    pub port: u16,
    /// What is dialled instead of the destination.
    pub through: Option<Through<'a>>,
}

/// A Service's address, or a port of a node.
#[derive(Clone, Copy, Debug)]
pub struct Through<'a> {
    /// The address that is dialled.
    pub address: IpAddr,
    /// The port that is dialled.
    pub port: u16,
    /// The node whose port it is; none is a Service's own address.
    pub node: Option<&'a str>,
    /// Whether the node puts an address of its own in the client's place.
    pub hides_client: bool,
}

/// Whether each side lets an attempt through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) egress: bool,
    pub(super) ingress: bool,
}

pub(super) const OPEN: Sides = Sides {
    egress: true,
    ingress: true,
};

impl Sides {
    pub(super) const fn unless(self, open: bool) -> Self {
        if open { OPEN } else { self }
    }

    /// Neither side asks where it is said to be open.
    pub(super) const fn opened(self, egress: bool, ingress: bool) -> Self {
        Self {
            egress: self.egress || egress,
            ingress: self.ingress || ingress,
        }
    }
}

/// A question whose ends are there. An end without a pod is outside.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) world: &'a World,
    pub(super) told: &'a [Snapshot],
    /// The cluster as the fault has it.
    pub(super) reread: &'a Snapshot,
    pub(super) from: Option<&'a LabPod>,
    pub(super) to: Option<&'a LabPod>,
    pub(super) from_address: IpAddr,
    pub(super) to_address: IpAddr,
    pub(super) family: Family,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
    pub(super) through: Option<Through<'a>>,
}

/// What each side takes the other end for, where it is not what it is, and the port that it asks about.
#[derive(Clone, Copy)]
pub(super) struct Views<'a> {
    pub(super) source: Option<Party<'a>>,
    pub(super) destination: Option<Party<'a>>,
    pub(super) egress_port: u16,
    pub(super) ingress_port: u16,
}

impl<'a> Attempt<'a> {
    pub(super) fn of(
        world: &'a World,
        told: &'a [Snapshot],
        reread: &'a Snapshot,
        question: &Question<'a>,
    ) -> Option<Self> {
        let end = |name: Option<&ObjectName>| -> Option<(Option<&'a LabPod>, IpAddr)> {
            let Some(name) = name else {
                let (v4, v6) = OUTSIDE;
                return Some((
                    None,
                    match question.family {
                        Family::Ipv4 => IpAddr::V4(v4),
                        Family::Ipv6 => IpAddr::V6(v6),
                    },
                ));
            };
            let lab = world.pod(name)?;
            let mut ips = lab.pod.ips.iter().copied();
            let address = ips.find(|address| Family::of(*address) == question.family)?;
            Some((Some(lab), address))
        };
        let ((from, from_address), (to, to_address)) = (end(question.from)?, end(question.to)?);
        Some(Self {
            world,
            told,
            reread,
            from,
            to,
            from_address,
            to_address,
            family: question.family,
            protocol: question.protocol,
            port: question.port,
            through: question.through,
        })
    }

    /// The node that translates what was dialled.
    pub(super) fn translator(&self) -> Option<&'a str> {
        self.through?
            .node
            .or_else(|| self.from.map(|lab| lab.node.as_str()))
    }

    /// Whether a node forwards it.
    pub(super) fn passes(&self, node: Option<&str>) -> bool {
        let ends = [self.from, self.to].map(|end| end.map(|lab| lab.node.as_str()));
        node.is_some() && (ends.contains(&node) || self.translator() == node)
    }

    /// Whether one node forwards it, and once: both gates are asked about one packet.
    pub(super) fn same_node(&self) -> bool {
        let node = self.from.map(|lab| lab.node.as_str());
        node.is_some()
            && node == self.to.map(|lab| lab.node.as_str())
            && self
                .translator()
                .is_none_or(|translator| Some(translator) == node)
    }

    /// The pod of a side, and the other end.
    pub(super) const fn ends(&self, way: Way) -> (Option<&'a LabPod>, Option<&'a LabPod>) {
        match way {
            Way::Egress => (self.from, self.to),
            Way::Ingress => (self.to, self.from),
        }
    }

    /// Whether a policy isolates the pod of that side.
    pub(super) fn isolated(&self, way: Way) -> bool {
        let pod = self.ends(way).0;
        pod.is_some_and(|lab| !isolating(&self.world.snapshot, &lab.pod, way).is_empty())
    }

    /// The pods of both ends.
    pub(super) fn pods(&self) -> (Option<&'a Pod>, Option<&'a Pod>) {
        (self.from.map(|lab| &lab.pod), self.to.map(|lab| &lab.pod))
    }

    /// What the policies require: what gates see, where all that the specification lets them see says the same of the whole.
    pub(super) fn required(&self) -> Option<Sides> {
        let snapshot = &self.world.snapshot;
        let (from, to) = self.pods();
        let seen = self.between(snapshot, from, to)?;
        let Some(through) = self.through else {
            return Some(seen);
        };
        let plain = self.seen(self.plain(), snapshot, from, to)?;
        let as_dialled = self.as_dialled(through)?;
        let hidden = if through.hides_client {
            let node = self.world.node(through.node?)?;
            let views = Views {
                source: Some(Party::Node {
                    name: &node.name,
                    address: through.address,
                }),
                ..self.plain()
            };
            self.seen(views, snapshot, from, to)?.ingress
        } else {
            plain.ingress
        };
        let leaves = [plain.egress, as_dialled, seen.egress];
        let enters = [plain.ingress, hidden];
        let is_open = leaves == [true; 3] && enters == [true; 2];
        let is_closed = leaves == [false; 3] || enters == [false; 2];
        (is_open || is_closed).then_some(seen)
    }

    /// What the source's side says where it sees the pod at the address that was dialled.
    fn as_dialled(&self, through: Through<'_>) -> Option<bool> {
        let (from, to) = self.pods();
        let mut at_both = to?.clone();
        at_both.ips.push(through.address);
        let views = Views {
            destination: Some(Party::Pod {
                pod: &at_both,
                address: Some(through.address),
            }),
            ..self.plain()
        };
        Some(self.seen(views, &self.world.snapshot, from, to)?.egress)
    }

    /// What the policies require of the pods as the fault has them; a pod that is not there is an address.
    pub(super) fn required_as_reread(&self) -> Option<Sides> {
        self.required_in(self.reread)
    }

    /// The same, of another snapshot.
    pub(super) fn required_in(&self, snapshot: &Snapshot) -> Option<Sides> {
        let (from, to) = self.pods();
        let known = |pod: Option<&Pod>| pod.and_then(|pod| snapshot.pod(&pod.name));
        self.between(snapshot, known(from), known(to))
    }

    /// What the policies require where each side takes the other end for an address that is nobody's.
    pub(super) fn required_of_strangers(&self) -> Option<Sides> {
        let snapshot = &self.world.snapshot;
        let (from, to) = self.pods();
        Some(Sides {
            egress: self.between(snapshot, from, None)?.egress,
            ingress: self.between(snapshot, None, to)?.ingress,
        })
    }

    /// What the gates of a right engine see.
    pub(super) fn views(&self) -> Views<'a> {
        let mut views = self.plain();
        let Some((through, node)) = self.through.and_then(|through| {
            let node = self.world.node(through.node?)?;
            Some((through, node))
        }) else {
            return views;
        };
        let is_at = |end: Option<&LabPod>| end.is_some_and(|lab| lab.node == node.name);
        if !is_at(self.from) {
            views.destination = Some(Party::Node {
                name: &node.name,
                address: through.address,
            });
            views.egress_port = through.port;
        }
        if through.hides_client && !is_at(self.to) {
            views.source = self.node_as_source(node);
        }
        views
    }

    /// The client's node, by an address of its own.
    pub(super) fn own_node(&self) -> Option<Party<'a>> {
        let node = self.world.node(&self.from?.node)?;
        let mut addresses = node.addresses.iter().copied();
        let address = addresses.find(|address| Family::of(*address) == self.family)?;
        Some(Party::Node {
            name: &node.name,
            address,
        })
    }

    /// A node, by the address under which it sends on to another.
    fn node_as_source(&self, node: &'a LabNode) -> Option<Party<'a>> {
        let mut addresses = node
            .tunnel_ends()
            .into_iter()
            .chain(node.addresses.iter().copied());
        let address = addresses.find(|address| Family::of(*address) == self.family)?;
        Some(Party::Node {
            name: &node.name,
            address,
        })
    }

    /// Each side sees the other end, and the port there.
    pub(super) const fn plain(&self) -> Views<'a> {
        Views {
            source: None,
            destination: None,
            egress_port: self.port,
            ingress_port: self.port,
        }
    }

    /// What the policies of a snapshot require between these pods, at this attempt's addresses, by what right gates see.
    pub(super) fn between(&self, snapshot: &Snapshot, from: Option<&Pod>, to: Option<&Pod>) -> Option<Sides> {
        self.seen(self.views(), snapshot, from, to)
    }

    /// The same, by what gates see that may be wrong.
    pub(super) fn seen(
        &self,
        views: Views<'_>,
        snapshot: &Snapshot,
        from: Option<&Pod>,
        to: Option<&Pod>,
    ) -> Option<Sides> {
        let (source, target) = (party(from, self.from_address), party(to, self.to_address));
        if self.through.is_none() && views.source.is_none() {
            return self.parties(snapshot, source, target, self.port);
        }
        let egress = self.parties(
            snapshot,
            source,
            views.destination.unwrap_or(target),
            views.egress_port,
        )?;
        let ingress = self.parties(
            snapshot,
            views.source.unwrap_or(source),
            target,
            views.ingress_port,
        )?;
        Some(Sides {
            egress: egress.egress,
            ingress: ingress.ingress,
        })
    }

    pub(super) fn parties(
        &self,
        snapshot: &Snapshot,
        from: Party<'_>,
        to: Party<'_>,
        port: u16,
    ) -> Option<Sides> {
        match permits(snapshot, from, to, self.protocol, port) {
            Reading::Permitted => Some(OPEN),
            Reading::Refused { egress, ingress } => Some(Sides {
                egress: !egress,
                ingress: !ingress,
            }),
            Reading::Undefined(_) => None,
        }
    }
}

/// A pod at an address, or an address that is nobody's.
pub(super) const fn party(pod: Option<&Pod>, address: IpAddr) -> Party<'_> {
    match pod {
        Some(pod) => Party::Pod {
            pod,
            address: Some(address),
        },
        None => Party::Outside(address),
    }
}
