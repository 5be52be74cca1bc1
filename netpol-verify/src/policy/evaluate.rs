//! The question answered: pure, without clock or IO, and with the reason in the answer.

use std::net::IpAddr;

use super::{
    decision::{Decision, Direction, End, Expectation, PolicyRef, RuleRef, Side, Traffic, Unspecified},
    peer::Met,
    port::NamedPort,
    set::{Compiled, PodEntry, PolicySet},
};

/// One end, looked up.
#[derive(Clone, Copy)]
enum Party<'a> {
    Pod(u32, &'a PodEntry),
    /// A node; the number is absent for a node that no pod and no object names.
    Node(Option<u32>),
    Outside,
}

/// One closed or open side, before it is put in words.
#[derive(Clone, Copy)]
struct SideQuestion<'a> {
    direction: Direction,
    pod: &'a PodEntry,
    peer_class: Option<u32>,
    peer_address: IpAddr,
    destination: &'a [NamedPort],
    traffic: &'a Traffic,
}

/// Both sides as questions; a side without pod is open.
struct Sides<'a> {
    egress: Option<SideQuestion<'a>>,
    ingress: Option<SideQuestion<'a>>,
    to_own_node: bool,
}

impl PolicySet {
    /// What the policies require of this attempt, and who decides.
    ///
    /// A pod's own node reaches it whatever isolates it (R21); `ingress` of such an answer names no policy.
    #[must_use]
    pub fn decide(&self, traffic: &Traffic) -> Decision {
        let sides = match self.sides(traffic) {
            Ok(sides) => sides,
            Err(why) => {
                let expectation = Expectation::Unspecified(why);
                return Decision {
                    expectation,
                    egress: Side::default(),
                    ingress: Side::default(),
                };
            }
        };
        let egress = sides.egress.map_or_else(Side::default, |side| self.side(&side));
        let ingress = sides.ingress.map_or_else(Side::default, |side| self.side(&side));
        let expectation = judged(egress.is_open(), ingress.is_open(), sides.to_own_node);
        Decision {
            expectation,
            egress,
            ingress,
        }
    }

    /// Only what is required, for large matrices: nothing is allocated.
    #[must_use]
    pub fn expect(&self, traffic: &Traffic) -> Expectation {
        match self.sides(traffic) {
            Err(why) => Expectation::Unspecified(why),
            Ok(sides) => judged(
                sides.egress.is_none_or(|side| self.is_open(&side)),
                sides.ingress.is_none_or(|side| self.is_open(&side)),
                sides.to_own_node,
            ),
        }
    }

    fn sides<'a>(&'a self, traffic: &'a Traffic) -> Result<Sides<'a>, Unspecified> {
        let (from, to) = (self.party(&traffic.from)?, self.party(&traffic.to)?);
        for party in [from, to] {
            if matches!(party, Party::Pod(_, pod) if pod.host_network) {
                return Err(Unspecified::HostNetwork);
            }
        }
        if let (Party::Pod(a, _), Party::Pod(b, _)) = (from, to)
            && a == b
        {
            return Err(Unspecified::Loopback);
        }
        let destination = match to {
            Party::Pod(_, pod) => pod.named.as_slice(),
            Party::Node(_) | Party::Outside => &[],
        };
        let question = |direction, pod, peer: Party<'_>, end: &End| SideQuestion {
            direction,
            pod,
            peer_class: match peer {
                Party::Pod(_, pod) => Some(pod.class),
                Party::Node(_) | Party::Outside => None,
            },
            peer_address: end.address().to_canonical(),
            destination,
            traffic,
        };
        Ok(Sides {
            egress: match from {
                Party::Pod(_, pod) => Some(question(Direction::Egress, pod, to, &traffic.to)),
                Party::Node(_) | Party::Outside => None,
            },
            ingress: match to {
                Party::Pod(_, pod) if !is_own_node(pod, from) => {
                    Some(question(Direction::Ingress, pod, from, &traffic.from))
                }
                Party::Pod(..) | Party::Node(_) | Party::Outside => None,
            },
            to_own_node: matches!(from, Party::Pod(_, pod) if is_own_node(pod, to)),
        })
    }

    fn party<'a>(&'a self, end: &End) -> Result<Party<'a>, Unspecified> {
        match end {
            End::Address(_) => Ok(Party::Outside),
            End::Node { name, .. } => Ok(Party::Node(self.node_index.get(name).copied())),
            End::Pod { name, address } => {
                let index = *self.pod_index.get(name).ok_or(Unspecified::UnknownEnd)?;
                let pod = self.pods.get(index as usize).ok_or(Unspecified::UnknownEnd)?;
                if pod.is_over || !pod.ips.contains(&address.to_canonical()) {
                    return Err(Unspecified::UnknownEnd);
                }
                Ok(Party::Pod(index, pod))
            }
        }
    }

    fn is_open(&self, side: &SideQuestion<'_>) -> bool {
        let isolating = self.isolating(side.pod.class, side.direction);
        isolating.is_empty()
            || self
                .policies(isolating)
                .any(|policy| side.allowing(policy).next().is_some())
    }

    fn side(&self, side: &SideQuestion<'_>) -> Side {
        let mut answer = Side::default();
        let mut isolating: Vec<&Compiled> = self
            .policies(self.isolating(side.pod.class, side.direction))
            .collect();
        // A reader looks for the default deny first: a policy without rules is named before those that only add allows.
        isolating.sort_by_key(|policy| !policy.rules(side.direction).is_empty());
        answer.bare = isolating
            .iter()
            .filter(|policy| policy.rules(side.direction).is_empty())
            .count();
        for policy in isolating {
            answer.isolating.push(policy.name.clone());
            answer.allowing.extend(side.allowing(policy).map(|index| RuleRef {
                policy: PolicyRef::clone(&policy.name),
                direction: side.direction,
                index,
            }));
        }
        answer
    }

    fn policies<'a>(&'a self, indices: &'a [u32]) -> impl Iterator<Item = &'a Compiled> {
        indices
            .iter()
            .filter_map(|index| self.policies.get(*index as usize))
    }
}

impl SideQuestion<'_> {
    /// The rules of a policy that let the attempt through.
    fn allowing(&self, policy: &Compiled) -> impl Iterator<Item = usize> {
        policy
            .rules(self.direction)
            .iter()
            .enumerate()
            .filter(|(_, rule)| {
                rule.peers
                    .match_end(self.peer_class, self.peer_address)
                    .is_some_and(|met| {
                        // Egress names resolve on the peer, ingress names on the pod itself (R17).
                        let nameless = self.direction == Direction::Egress && met == Met::AsAddress;
                        let named = if nameless { &[] } else { self.destination };
                        rule.ports
                            .matches(self.traffic.protocol, self.traffic.port, named)
                    })
            })
            .map(|(index, _)| index)
    }
}

/// Whether the party is the node the pod runs on (R21, R22).
fn is_own_node(pod: &PodEntry, party: Party<'_>) -> bool {
    matches!(party, Party::Node(Some(node)) if pod.node == Some(node))
}

const fn judged(egress: bool, ingress: bool, to_own_node: bool) -> Expectation {
    match (egress, ingress, to_own_node) {
        (true, true, _) => Expectation::Allow,
        (false, _, true) => Expectation::Unspecified(Unspecified::PodToOwnNode),
        (false, _, false) | (true, false, _) => Expectation::Deny,
    }
}
