//! Half a path: one side lets a connection through and the other never does (R2).
//!
//! Said only of a peer entry of which no pod gets through to any pod of the policy, on any port of the rule, in any family,
//! by the engine's word; an answer that the API leaves open keeps it quiet.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    code::{EGRESS_HALF_MISSING, INGRESS_HALF_MISSING},
    finding::{Finding, counted, listed},
    groups::{Group, GroupId},
    reach::{Reach, Reaches},
    world::World,
    written::{PeerKind, PortKind, Rule, Written},
};
use crate::{
    cluster::{AdminPort, Pod, path::FieldPath},
    net::{Family, Protocol},
    policy::{Decision, Direction, Expectation, PodId, PolicyRef, RuleRef, Side, Traffic, between},
};

type PortNumber = (Protocol, u16);

/// One entry of `from` or `to` that may be half a path.
struct Suspect<'a> {
    policy: &'a Written<'a>,
    direction: Direction,
    index: usize,
    rule: &'a Rule,
    path: &'a FieldPath,
    /// Its pods, and the policy's.
    peers: &'a [GroupId],
    subjects: Vec<GroupId>,
    ports: BTreeSet<PortNumber>,
}

/// An attempt that the entry lets through and the other side does not.
struct Witness {
    traffic: Traffic,
    decision: Decision,
}

pub(super) fn find(world: &World<'_>, out: &mut Vec<Finding>) {
    let points = change_points(world);
    let suspects = suspects(world, &points);
    for suspect in dead(world, suspects) {
        if let Some(witness) = suspect.witness(world) {
            out.push(suspect.finding(world, &witness));
        }
    }
}

/// Where answers may change along the ports of a protocol: between two of these, all ports are alike.
fn change_points(world: &World<'_>) -> BTreeSet<PortNumber> {
    let mut points: BTreeSet<PortNumber> = Protocol::ALL.map(|protocol| (protocol, 1)).into();
    let mut add = |protocol, first: u16, last: u16| {
        points.insert((protocol, first));
        points.extend(last.checked_add(1).map(|next| (protocol, next)));
    };
    let rules = world.policies.iter().flat_map(|policy| policy.live_rules());
    for port in rules.flat_map(|(_, rule)| &rule.ports) {
        if let PortKind::Numbers(first, last) = port.what {
            add(port.protocol, first, last);
        }
    }
    let admin = world.snapshot.admin.iter().map(|sourced| &sourced.object);
    let rules = admin.flat_map(|policy| policy.ingress.iter().chain(&policy.egress));
    for port in rules.flat_map(|rule| &rule.ports) {
        if let AdminPort::Range(protocol, first, last) = *port {
            add(protocol, first, last);
        }
    }
    for port in world.snapshot.pods.iter().flat_map(|pod| &pod.ports) {
        if port.name.is_some() {
            add(port.protocol, port.port, port.port);
        }
    }
    points
}

fn suspects<'a>(world: &'a World<'_>, points: &BTreeSet<PortNumber>) -> Vec<Suspect<'a>> {
    let mut suspects = Vec::new();
    for policy in &world.policies {
        let subjects: Vec<GroupId> = visible(world, &policy.subjects);
        for way in policy.ways().into_iter().filter(|way| way.isolates) {
            for (index, rule) in way.rules.iter().enumerate() {
                for peer in &rule.peers {
                    let PeerKind::Pods { groups, .. } = &peer.what else {
                        continue;
                    };
                    // A hostNetwork pod may get through as its node (R24), so that nothing is certain.
                    if world.groups.of(groups).any(Group::is_host) {
                        continue;
                    }
                    let named = match way.direction {
                        Direction::Ingress => &subjects,
                        Direction::Egress => groups,
                    };
                    suspects.push(Suspect {
                        policy,
                        direction: way.direction,
                        index,
                        rule,
                        path: &peer.path,
                        peers: groups,
                        subjects: subjects.clone(),
                        ports: ports(world, rule, named, points),
                    });
                }
            }
        }
    }
    suspects.retain(|suspect| {
        !suspect.peers.is_empty() && !suspect.subjects.is_empty() && !suspect.ports.is_empty()
    });
    suspects
}

fn visible(world: &World<'_>, groups: &[GroupId]) -> Vec<GroupId> {
    let seen = |number: &GroupId| !world.groups.of(&[*number]).any(Group::is_host);
    groups.iter().copied().filter(seen).collect()
}

/// Enough ports of a rule to know all of them.
fn ports(
    world: &World<'_>,
    rule: &Rule,
    named: &[GroupId],
    points: &BTreeSet<PortNumber>,
) -> BTreeSet<PortNumber> {
    let between = |protocol, first, last| {
        let inside = points.range((protocol, first)..=(protocol, last)).copied();
        std::iter::once((protocol, first))
            .chain(inside)
            .collect::<Vec<_>>()
    };
    if rule.ports.is_empty() {
        return points.clone();
    }
    let entries = rule.ports.iter();
    entries
        .flat_map(|port| match &port.what {
            PortKind::Numbers(first, last) => between(port.protocol, *first, *last),
            PortKind::Name(name) => {
                let declared = world.groups.of(named).flat_map(|group| &group.pod.ports);
                let of_name =
                    declared.filter(|it| it.protocol == port.protocol && it.name.as_ref() == Some(name));
                of_name.map(|it| (it.protocol, it.port)).collect()
            }
            PortKind::Invalid => Vec::new(),
        })
        .collect()
}

/// Those of which nothing gets through. What their policies leave in doubt is asked port by port, so that one matrix serves all
/// who ask about a port.
fn dead<'a>(world: &World<'_>, suspects: Vec<Suspect<'a>>) -> Vec<Suspect<'a>> {
    let mut reaches = Reaches::new(world);
    let doubts = suspects.into_iter().filter_map(|suspect| {
        let doubts = suspect.doubts(world, &mut reaches)?;
        Some((suspect, doubts))
    });
    let doubts: Vec<(Suspect<'a>, Vec<(PodId, PodId)>)> = doubts.collect();
    let mut asked: BTreeMap<PortNumber, Vec<usize>> = BTreeMap::new();
    for (number, (suspect, pairs)) in doubts.iter().enumerate() {
        for port in suspect.ports.iter().filter(|_| !pairs.is_empty()) {
            asked.entry(*port).or_default().push(number);
        }
    }
    // Ports that many ask about clear most of them.
    let mut ports: Vec<_> = asked.into_iter().collect();
    ports.sort_by_key(|(_, asking)| std::cmp::Reverse(asking.len()));
    let mut alive = BTreeSet::new();
    for ((protocol, port), mut asking) in ports {
        asking.retain(|number| !alive.contains(number));
        if asking.is_empty() {
            continue;
        }
        let matrix = world.set.matrix(protocol, port);
        let is_denied = |(from, to): &(PodId, PodId)| {
            [Family::Ipv4, Family::Ipv6].into_iter().all(|family| {
                let answer = matrix.expect(*from, *to, family);
                matches!(answer, None | Some(Expectation::Deny))
            })
        };
        alive.extend(asking.into_iter().filter(|number| {
            let doubt = doubts.get(*number);
            !doubt.is_some_and(|(_, pairs)| pairs.iter().all(is_denied))
        }));
    }
    let all = doubts.into_iter().enumerate();
    all.filter(|(number, _)| !alive.contains(number))
        .map(|(_, (suspect, _))| suspect)
        .collect()
}

impl Suspect<'_> {
    /// The groups at both ends, the subject's first; of one group at both ends two pods, if there are two.
    fn ends<'b, 'w>(
        &'b self,
        world: &'b World<'w>,
    ) -> impl Iterator<Item = ((GroupId, &'b Group<'w>), (GroupId, &'b Group<'w>, &'b Pod))> + 'b {
        let numbered = |numbers: &'b [GroupId]| numbers.iter().copied().zip(world.groups.of(numbers));
        numbered(&self.subjects).flat_map(move |subject| {
            numbered(self.peers).filter_map(move |(number, peer)| {
                let pod = if subject.0 == number {
                    *peer.pods.get(1)?
                } else {
                    peer.pod
                };
                Some((subject, (number, peer, pod)))
            })
        })
    }

    /// Every pair of a peer and a subject, in the direction of the connection.
    fn pairs<'b>(&'b self, world: &'b World<'_>) -> impl Iterator<Item = (&'b Pod, &'b Pod)> + 'b {
        self.ends(world)
            .map(|((_, subject), (_, _, other))| match self.direction {
                Direction::Ingress => (other, subject.pod),
                Direction::Egress => (subject.pod, other),
            })
    }

    /// The pairs that the other side may let through on some port; `None` where it lets one through for certain.
    fn doubts(&self, world: &World<'_>, reaches: &mut Reaches<'_, '_>) -> Option<Vec<(PodId, PodId)>> {
        let far = match self.direction {
            Direction::Ingress => Direction::Egress,
            Direction::Egress => Direction::Ingress,
        };
        let mut pairs = Vec::new();
        for ((near, subject), (number, peer, other)) in self.ends(world) {
            let may_pass = match &*reaches.of(number, far) {
                Reach::Unrestricted => return None,
                Reach::Anybody => true,
                Reach::Groups(groups) => groups.contains(&near),
            };
            if may_pass {
                let other = if other.name == peer.pod.name {
                    peer.id
                } else {
                    world.set.pod_id(&other.name)?
                };
                pairs.push(match self.direction {
                    Direction::Ingress => (other, subject.id),
                    Direction::Egress => (subject.id, other),
                });
            }
        }
        Some(pairs)
    }

    /// Near side and far side of an answer.
    const fn sides<'b>(&self, decision: &'b Decision) -> (&'b Side, &'b Side) {
        match self.direction {
            Direction::Ingress => (&decision.ingress, &decision.egress),
            Direction::Egress => (&decision.egress, &decision.ingress),
        }
    }

    /// The first attempt that this very rule lets through and the other side stops.
    fn witness(&self, world: &World<'_>) -> Option<Witness> {
        const TRIES: usize = 4096;
        let rule = RuleRef {
            policy: PolicyRef(self.policy.name.clone()),
            direction: self.direction,
            index: self.index,
        };
        let attempts = self.ports.iter().flat_map(|(protocol, port)| {
            let ends = self.pairs(world).flat_map(|(from, to)| between(from, to));
            ends.map(|(from, to)| Traffic::direct(from, to, *protocol, *port))
        });
        attempts.take(TRIES).find_map(|traffic| {
            let decision = world.set.decide(&traffic);
            let (near, far) = self.sides(&decision);
            let is_half = near.is_open() && near.allowing.contains(&rule) && far.is_closed();
            is_half.then_some(Witness { traffic, decision })
        })
    }

    fn finding(&self, world: &World<'_>, witness: &Witness) -> Finding {
        let peers = listed(world.groups.names(self.peers));
        let subjects = listed(world.groups.names(&self.subjects));
        let ports = self.rule.ports_in_words();
        let by = listed(witness.decision.by());
        let (code, message, lack) = match self.direction {
            Direction::Ingress => (
                EGRESS_HALF_MISSING,
                format!(
                    "lets {peers} in to {subjects} on {ports}, and nobody gets here: the way out is denied by {by}."
                ),
                "egress",
            ),
            Direction::Egress => (
                INGRESS_HALF_MISSING,
                format!(
                    "lets {subjects} out to {peers} on {ports}, and nobody gets there: the way in is denied by {by}."
                ),
                "ingress",
            ),
        };
        let pairs = self.pairs(world).count();
        let suggestion = world.suggestion(&witness.traffic);
        let (from, to) = (&witness.traffic.from, &witness.traffic.to);
        let one = format!(
            "{from} to {to} on {}/{}",
            witness.traffic.protocol, witness.traffic.port
        );
        let mut fix = match &suggestion {
            Some(_) => format!("Add the {lack} half. This one, tried out, opens {one}"),
            None => format!("Add the {lack} half, for example from {one}"),
        };
        if let Some(suggestion) = &suggestion {
            if suggestion.also_opens > 0 {
                fix.push_str(&format!(
                    ", and {} of pods with the same labels",
                    counted(suggestion.also_opens, "other pair")
                ));
            }
            if suggestion.also_isolates > 0 {
                fix.push_str(&format!(
                    ", and isolates {} that nothing isolated before",
                    counted(suggestion.also_isolates, "pod")
                ));
            }
        }
        fix.push('.');
        if pairs > 1 || self.ports.len() > 1 {
            fix.push_str(" The entry's other pods and ports need the same.");
        }
        fix.push_str(" If nobody needs this path, take the entry out.");
        let mut finding = Finding::new(code, message, fix)
            .about(self.policy.object(), Some(self.policy.place))
            .at(self.path);
        finding.manifest = suggestion.map(|suggestion| suggestion.manifest);
        finding
    }
}
