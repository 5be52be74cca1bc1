//! The question answered: pure, without clock or IO, and with the reason in the answer.
//!
//! Where the API leaves something open (how hostNetwork pods are seen, on which side of a translation a block looks), every
//! reading is asked. An answer that all of them give is the answer; otherwise it is `Unspecified`, and says why.

use std::net::IpAddr;

use super::{
    answer::Answer,
    decision::{Decision, Direction, End, Side, Traffic, Unspecified},
    port::NamedPort,
    set::{PodEntry, PolicySet},
};
use crate::net::{Family, Protocol};

/// One end, looked up.
#[derive(Clone, Copy)]
enum Party<'a> {
    Pod(&'a PodEntry, Option<IpAddr>),
    Node(Option<u32>, IpAddr),
    Outside(IpAddr),
}

/// How hostNetwork pods are seen: as pods, or as their node (R24). For other pods there is no difference.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    AsPod,
    AsNode,
}

/// The other end as one side's policies see it.
#[derive(Clone, Copy)]
pub(super) struct View {
    /// Its class for NetworkPolicies' selectors; none for what is no pod.
    pub(super) class: Option<u32>,
    /// Its class for administrators' selectors, which never see hostNetwork pods.
    pub(super) admin_class: Option<u32>,
    /// Its address; none for a pod that has none yet.
    pub(super) address: Option<IpAddr>,
    /// Whether it is neither pod nor node, so that a domain may stand for it.
    pub(super) is_outside: bool,
    /// Of a hostNetwork pod without address: its address will be that of its node, where it is known which.
    pub(super) awaits_node: Option<Option<u32>>,
}

/// One side, before it is put in words.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) direction: Direction,
    /// The pod's class for NetworkPolicies; none where they do not see it.
    pub(super) subject: Option<u32>,
    /// Its class for administrators' policies.
    pub(super) admin_subject: Option<u32>,
    pub(super) view: View,
    pub(super) protocol: Protocol,
    /// The destination's port.
    pub(super) port: u16,
    /// The port names of the destination pod.
    pub(super) declared: &'a [NamedPort],
    /// Whether the other end is the node that the pod runs on, as NetworkPolicies see it.
    pub(super) own_node: bool,
    /// The same as administrators' policies see it, to which a hostNetwork pod is always its node.
    pub(super) admin_own_node: bool,
}

impl PolicySet {
    /// What the policies require of this attempt, and who decides.
    ///
    /// A pod's own node reaches it whatever isolates it (R21); `ingress` of such an answer names no policy.
    #[must_use]
    pub fn decide(&self, traffic: &Traffic) -> Decision {
        match self.ends(traffic) {
            Ok((from, to)) => self.decided(from, to, traffic),
            Err(why) => Decision {
                expectation: Answer::left_open(why).expectation(),
                egress: Side::default(),
                ingress: Side::default(),
            },
        }
    }

    fn ends<'a>(&'a self, traffic: &Traffic) -> Result<(Party<'a>, Party<'a>), Unspecified> {
        let (from, to) = (self.party(&traffic.from)?, self.party(&traffic.to)?);
        let families = traffic.from.address().zip(traffic.to.address());
        if families.is_some_and(|(from, to)| Family::of(from) != Family::of(to)) {
            return Err(Unspecified::UnknownEnd);
        }
        match (from, to) {
            (Party::Pod(a, _), Party::Pod(b, _)) if a.name == b.name && traffic.via.is_none() => {
                Err(Unspecified::Loopback)
            }
            _ => Ok((from, to)),
        }
    }

    fn party<'a>(&'a self, end: &End) -> Result<Party<'a>, Unspecified> {
        match end {
            End::Address(address) => Ok(Party::Outside(address.to_canonical())),
            End::Node { name, address } => Ok(Party::Node(
                self.node_index.get(name).copied(),
                address.to_canonical(),
            )),
            End::Pod { name, .. } => {
                let pod = self.pod(name).ok_or(Unspecified::UnknownEnd)?;
                let address = end.address();
                let has_it = match address {
                    Some(address) => pod.ips.contains(&address),
                    None => pod.ips.is_empty(),
                };
                if pod.is_over || !has_it {
                    return Err(Unspecified::UnknownEnd);
                }
                Ok(Party::Pod(pod, address))
            }
        }
    }

    fn decided(&self, from: Party<'_>, to: Party<'_>, traffic: &Traffic) -> Decision {
        let (mut answer, mut decision) = self.read(from, to, traffic, Reading::AsPod);
        if from.is_host_pod() || to.is_host_pod() {
            let (other, second) = self.read(from, to, traffic, Reading::AsNode);
            // The reading that stops it has more to tell.
            if answer.certain && !other.certain {
                decision = second;
            }
            answer = answer.or_else(other, Unspecified::HostNetwork);
        }
        if let (Party::Pod(a, _), Party::Pod(b, _)) = (from, to)
            && a.name == b.name
            && !answer.certain
            && !decision.is_denied_by_administrators()
        {
            answer = Answer::left_open(Unspecified::Loopback);
        }
        decision.expectation = answer.expectation();
        decision
    }

    /// Both sides under one reading.
    fn read(
        &self,
        from: Party<'_>,
        to: Party<'_>,
        traffic: &Traffic,
        reading: Reading,
    ) -> (Answer, Decision) {
        let declared = to.class(reading).map_or(&[][..], |class| self.named(class));
        let via = traffic.via.as_ref();
        let question = |direction, subject: Party<'_>, view, own_node: OwnNode| Question {
            direction,
            subject: subject.class(reading),
            admin_subject: subject.admin_class(),
            view,
            protocol: traffic.protocol,
            port: traffic.port,
            declared,
            own_node: own_node.is_seen,
            admin_own_node: own_node.is_so,
        };
        let mut egress = (Answer::OPEN, Side::default());
        if let Party::Pod(pod, _) = from {
            let direct = to.view(reading);
            let dialled = via.and_then(|via| via.dialled);
            let node = dialled.and_then(|dialled| {
                let node = self.other_node_at(dialled.ip(), pod)?;
                let question = question(Direction::Egress, from, node.view(reading), OwnNode::sure(false));
                let as_node = Question {
                    port: dialled.port(),
                    declared: &[],
                    ..question
                };
                Some((Unspecified::DialledNode, as_node))
            });
            let dialled = dialled.map(|dialled| View {
                address: Some(dialled.ip().to_canonical()),
                ..direct
            });
            let views: Vec<View> = [Some(direct), dialled].into_iter().flatten().collect();
            let readings = to
                .own_node_readings(pod, reading)
                .into_iter()
                .flat_map(|own_node| {
                    let seen = views
                        .iter()
                        .map(move |view| (own_node, view.beside(own_node, pod)));
                    seen.collect::<Vec<_>>()
                });
            let readings = readings
                .map(|(own_node, view)| (own_node.why(), question(Direction::Egress, from, view, own_node)));
            egress = self.over(readings.chain(node));
        }
        let mut ingress = (Answer::OPEN, Side::default());
        if let Party::Pod(pod, _) = to {
            let direct = from
                .own_node_readings(pod, reading)
                .into_iter()
                .map(|own_node| (own_node, from.view(reading)));
            let hidden = via.map_or(&[][..], |via| via.rewritten.as_slice());
            let rewritten = hidden.iter().flat_map(|address| {
                let node = self.node_at(*address);
                let own_node = node.own_node_readings(pod, reading).into_iter();
                own_node.map(move |own_node| (own_node, node.view(reading)))
            });
            ingress =
                self.over(direct.chain(rewritten).map(|(own_node, view)| {
                    (own_node.why(), question(Direction::Ingress, to, view, own_node))
                }));
        }
        let answer = egress.0.and(ingress.0);
        let decision = Decision {
            expectation: answer.expectation(),
            egress: egress.1,
            ingress: ingress.1,
        };
        (answer, decision)
    }

    /// One side over all the ways in which its policies may see the other end, each with the reason why it may be so.
    fn over<'a>(&self, readings: impl Iterator<Item = (Unspecified, Question<'a>)>) -> (Answer, Side) {
        let mut asked: Option<(Answer, Side)> = None;
        for (why, question) in readings {
            let (answer, side) = self.side(&question);
            asked = Some(match asked {
                None => (answer, side),
                Some((before, first)) => {
                    let told = if before.certain && !answer.certain {
                        side
                    } else {
                        first
                    };
                    (before.or_else(answer, why), told)
                }
            });
        }
        let (answer, mut side) = asked.unwrap_or((Answer::OPEN, Side::default()));
        side.answer = Some(answer.expectation());
        (answer, side)
    }

    /// The node that has an address, where it is not the pod's own: that one translates before it asks the pod's policies.
    fn other_node_at(&self, address: IpAddr, pod: &PodEntry) -> Option<Party<'_>> {
        let nodes = self.node_addresses.get(&address.to_canonical())?;
        let is_own = pod.node.is_some_and(|own| nodes.contains(&own));
        (!is_own).then(|| self.node_at(address))
    }

    /// The node that has an address.
    fn node_at(&self, address: IpAddr) -> Party<'_> {
        let address = address.to_canonical();
        let nodes = self.node_addresses.get(&address);
        Party::Node(nodes.and_then(|nodes| nodes.first().copied()), address)
    }
}

impl Decision {
    fn is_denied_by_administrators(&self) -> bool {
        [&self.egress, &self.ingress].into_iter().any(|side| {
            side.is_closed()
                && side
                    .admin
                    .last()
                    .is_some_and(|rule| rule.action == crate::cluster::Action::Deny)
        })
    }
}

impl View {
    /// The same, where a hostNetwork pod without address is guessed to be on the pod's node.
    fn beside(self, own_node: OwnNode, pod: &PodEntry) -> Self {
        Self {
            awaits_node: match self.awaits_node {
                Some(None) if own_node.is_so => Some(pod.node),
                other => other,
            },
            ..self
        }
    }
}

impl Party<'_> {
    const fn is_host_pod(self) -> bool {
        matches!(self, Self::Pod(pod, _) if pod.host_network)
    }

    /// Its class for NetworkPolicies.
    fn class(self, reading: Reading) -> Option<u32> {
        match self {
            Self::Pod(pod, _) if pod.host_network && reading == Reading::AsNode => None,
            Self::Pod(pod, Some(address)) => pod.class(Family::of(address)),
            Self::Pod(pod, None) => pod.any_class(),
            Self::Node(..) | Self::Outside(_) => None,
        }
    }

    /// Its class for administrators' policies.
    fn admin_class(self) -> Option<u32> {
        if self.is_host_pod() {
            None
        } else {
            self.class(Reading::AsPod)
        }
    }

    fn view(self, reading: Reading) -> View {
        View {
            class: self.class(reading),
            admin_class: self.admin_class(),
            address: match self {
                Self::Pod(_, address) => address,
                Self::Node(_, address) | Self::Outside(address) => Some(address),
            },
            is_outside: matches!(self, Self::Outside(_)),
            awaits_node: match self {
                Self::Pod(pod, None) if pod.host_network => Some(pod.node),
                Self::Pod(..) | Self::Node(..) | Self::Outside(_) => None,
            },
        }
    }

    /// Whether this is the node that the pod runs on (R21, R22): one reading, or two where one of them is on no node yet.
    fn own_node_readings(self, pod: &PodEntry, reading: Reading) -> Vec<OwnNode> {
        let (node, is_seen) = match self {
            Self::Node(node, _) => (node, true),
            // To administrators' policies a hostNetwork pod is always its node.
            Self::Pod(other, _) if other.host_network => (other.node, reading == Reading::AsNode),
            Self::Pod(..) | Self::Outside(_) => return vec![OwnNode::sure(false)],
        };
        let together = OwnNode {
            is_seen,
            is_so: true,
            is_guess: true,
        };
        match (node, pod.node) {
            (Some(node), Some(own)) if node != own => vec![OwnNode::sure(false)],
            (Some(_), Some(_)) => vec![OwnNode {
                is_guess: false,
                ..together
            }],
            (None, Some(_)) if matches!(self, Self::Node(..)) => vec![OwnNode::sure(false)],
            _ => vec![OwnNode::sure(false), together],
        }
    }
}

/// Whether the other end is the pod's own node.
#[derive(Clone, Copy)]
struct OwnNode {
    /// As NetworkPolicies see it.
    is_seen: bool,
    /// As it is, and as administrators' policies see it.
    is_so: bool,
    /// Whether it only may be so.
    is_guess: bool,
}

impl OwnNode {
    const fn sure(is_so: bool) -> Self {
        Self {
            is_seen: is_so,
            is_so,
            is_guess: false,
        }
    }

    /// Why this reading stands beside another one.
    const fn why(self) -> Unspecified {
        if self.is_guess {
            Unspecified::NoNode
        } else {
            Unspecified::NatRewriting
        }
    }
}
