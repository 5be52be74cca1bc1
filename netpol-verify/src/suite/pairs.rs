//! Which attempts a stage makes: every pair of pods, on the ports asked for, in every family both have.

use std::net::{IpAddr, SocketAddr};

use super::{
    door::Dialled,
    outside::{self, is_outside},
    scenario::ProbePattern,
};
use crate::{
    cluster::{ObjectName, Pod, Snapshot},
    net::Protocol,
    policy::{Decision, End, PolicySet, Traffic, Translation},
};

/// One attempt to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// From which pod.
    pub from: ObjectName,
    /// From which of its addresses.
    pub from_address: IpAddr,
    /// To which pod.
    pub to: ObjectName,
    /// To which of its addresses.
    pub to_address: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The port at the destination.
    pub port: u16,
    /// What is dialled instead of the destination's own address, where that is translated on the way.
    pub dialled: Option<Dialled>,
}

impl Attempt {
    /// What the policies require of it.
    #[must_use]
    pub fn decide(&self, set: &PolicySet) -> Decision {
        let end = |name: &ObjectName, address| {
            if is_outside(name) {
                return End::Address(address);
            }
            End::Pod {
                name: name.clone(),
                address: Some(address),
            }
        };
        let dialled = self
            .dialled
            .as_ref()
            .filter(|dialled| dialled.address != self.to_address);
        set.decide(&Traffic {
            via: dialled.map(|dialled| Translation {
                dialled: Some(SocketAddr::new(dialled.address, dialled.port)),
                rewritten: dialled.rewritten.clone(),
            }),
            ..Traffic::direct(
                end(&self.from, self.from_address),
                end(&self.to, self.to_address),
                self.protocol,
                self.port,
            )
        })
    }
}

/// The policies that decided, isolating ones and allowing ones of both directions.
#[must_use]
pub fn deciders(decision: &Decision) -> Vec<String> {
    [&decision.egress, &decision.ingress]
        .into_iter()
        .flat_map(|side| {
            let isolating = side.isolating.iter().map(ToString::to_string);
            isolating.chain(side.allowing.iter().map(|rule| rule.policy.to_string()))
        })
        .collect()
}

/// Where nothing declares or names a port, there is still one to ask about.
const DEFAULT_PORT: (Protocol, u16) = (Protocol::Tcp, 80);

/// The attempts of a snapshot. Pods that are over or share the node's network have no interface of their own to watch
/// (R24, R28) and are left out; so is a pod to itself (R23).
#[must_use]
pub fn attempts(snapshot: &Snapshot, patterns: &[ProbePattern]) -> Vec<Attempt> {
    attempts_to(snapshot, patterns, can_probe)
}

/// The same, but to every pod that `is_asked` picks.
pub(super) fn attempts_to(
    snapshot: &Snapshot,
    patterns: &[ProbePattern],
    is_asked: impl Fn(&Pod) -> bool + Copy,
) -> Vec<Attempt> {
    let everywhere = patterns.is_empty().then(|| named_ports(snapshot));
    let mut attempts = Vec::new();
    for from in snapshot.pods.iter().filter(|pod| can_probe(pod)) {
        let others = snapshot.pods.iter().filter(|to| to.name != from.name);
        for to in others.filter(|to| is_asked(to)) {
            for (protocol, port) in everywhere.clone().unwrap_or_else(|| matching(patterns, from, to)) {
                for from_address in &from.ips {
                    for to_address in to.ips.iter().filter(|to| to.is_ipv4() == from_address.is_ipv4()) {
                        attempts.push(Attempt {
                            from: from.name.clone(),
                            from_address: *from_address,
                            to: to.name.clone(),
                            to_address: *to_address,
                            protocol,
                            port,
                            dialled: None,
                        });
                    }
                }
            }
        }
    }
    attempts.extend(outside::attempts(snapshot, patterns, is_asked));
    attempts.extend(through_doors(snapshot, patterns));
    attempts
}

/// Those of the attempts that are meant, by their places.
#[must_use]
pub fn pick(attempts: &[Attempt], only: &[usize]) -> Vec<Attempt> {
    let meant = only.iter().filter_map(|index| attempts.get(*index).cloned());
    meant.collect()
}

fn through_doors<'a>(
    snapshot: &'a Snapshot,
    patterns: &'a [ProbePattern],
) -> impl Iterator<Item = Attempt> + 'a {
    patterns.iter().flat_map(|pattern| {
        let attempts = pattern.door.as_ref().map(|door| door.attempts(snapshot, pattern));
        attempts.unwrap_or_default()
    })
}

/// Whether a pod has an interface of its own and is alive.
#[must_use]
pub fn can_probe(pod: &Pod) -> bool {
    !pod.host_network && can_be_asked(pod)
}

/// Whether a pod is alive and has an address: its own, or its node's.
pub(super) fn can_be_asked(pod: &Pod) -> bool {
    !pod.phase.is_terminal() && !pod.ips.is_empty()
}

/// Every port that is declared or named, gathered once: it reads all pods and policies.
fn named_ports(snapshot: &Snapshot) -> Vec<(Protocol, u16)> {
    let named = snapshot.ports();
    if named.is_empty() {
        vec![DEFAULT_PORT]
    } else {
        named.into_iter().collect()
    }
}

fn matching(patterns: &[ProbePattern], from: &Pod, to: &Pod) -> Vec<(Protocol, u16)> {
    patterns
        .iter()
        .filter(|pattern| {
            pattern.door.is_none()
                && ProbePattern::covers(&pattern.from, &from.name)
                && ProbePattern::covers(&pattern.to, &to.name)
        })
        .map(|pattern| (pattern.protocol, pattern.port))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Attempt, attempts, attempts_to, can_be_asked, can_probe};
    use crate::{
        cluster::{Loaded, Phase, Snapshot},
        suite::{Scenario, scenario::ProbePattern},
    };

    fn guide() -> (Snapshot, Vec<ProbePattern>) {
        let scenario = Scenario::load("guide").unwrap();
        let mut loaded = Vec::new();
        for (file, text) in scenario
            .pods
            .iter()
            .chain(scenario.stages.iter().flat_map(|stage| &stage.apply))
        {
            loaded.extend(Loaded::from_text(text, file).objects);
        }
        let mut state = crate::cluster::ClusterState::default();
        state.apply(loaded);
        let mut snapshot = state.snapshot();
        for (index, pod) in snapshot.pods.iter_mut().enumerate() {
            pod.ips = vec![
                format!("10.0.0.{}", index + 1).parse().unwrap(),
                format!("fd00::{}", index + 1).parse().unwrap(),
            ];
        }
        (snapshot, scenario.probes)
    }

    #[test]
    fn the_guide_has_twelve_pairs_and_four_askers_in_each_family() {
        let (snapshot, patterns) = guide();
        let attempts = attempts(&snapshot, &patterns);
        let web = attempts
            .iter()
            .filter(|a| a.port == 80 && a.to_address.is_ipv4())
            .count();
        let dns = attempts
            .iter()
            .filter(|a| a.port == 53 && a.to_address.is_ipv6())
            .count();
        assert_eq!((web, dns, attempts.len()), (12, 8, 40));
    }

    #[test]
    fn without_patterns_every_pair_is_asked_on_every_port_that_is_named() {
        let (snapshot, _) = guide();
        assert_eq!(
            attempts(&snapshot, &[]).len(),
            5 * 4 * 2 * 3,
            "TCP/80, TCP/53, UDP/53"
        );
    }

    #[test]
    fn a_pod_without_an_interface_of_its_own_is_left_out() {
        let (mut snapshot, _) = guide();
        snapshot.pods[0].host_network = true;
        snapshot.pods[1].phase = Phase::Succeeded;
        snapshot.pods[2].ips.clear();
        assert_eq!(snapshot.pods.iter().filter(|pod| can_probe(pod)).count(), 2);
    }

    #[test]
    fn a_host_network_pod_asks_nobody_and_is_asked_on_request() {
        let (mut snapshot, patterns) = guide();
        snapshot.pods[0].host_network = true;
        let host = snapshot.pods[0].name.clone();
        let asked = attempts_to(&snapshot, &patterns, can_be_asked);
        let of_host = |attempts: &[Attempt]| {
            let from = attempts.iter().filter(|one| one.from == host).count();
            (from, attempts.iter().filter(|one| one.to == host).count())
        };
        assert_eq!(of_host(&attempts(&snapshot, &patterns)), (0, 0));
        let (from, to) = of_host(&asked);
        assert!(from == 0 && to > 0, "{from} {to}");
    }
}
