//! What each fault of memory makes of an attempt, by all that the enforcer was told since its start.

use super::{super::prediction::Made, MemoryFault, policies::each_rule};
use crate::{
    cluster::{ObjectName, Phase, Pod, Snapshot},
    lab::{
        LabPod,
        fault::attempt::{Attempt, OPEN, Sides},
        literal::{Way, isolating, without_rules},
    },
};

impl MemoryFault {
    /// What it makes of an attempt.
    pub(in super::super) fn made(self, attempt: &Attempt<'_>, required: Sides) -> Option<Made> {
        let now = &attempt.world.snapshot;
        let told = attempt.told;
        let before = told.len().checked_sub(2).and_then(|index| told.get(index));
        let at_start = told.len() <= 1;
        let is_new = |pod: Option<&Pod>| {
            pod.zip(before)
                .is_some_and(|(pod, before)| before.pod(&pod.name).is_none())
        };
        let (from, to) = attempt.pods();
        let sides = match self {
            Self::NewPodUngated => required.opened(is_new(from), is_new(to)),
            Self::NewPodUnknown => {
                let strangers = attempt.required_of_strangers()?;
                Sides {
                    egress: if is_new(to) {
                        strangers.egress
                    } else {
                        required.egress
                    },
                    ingress: if is_new(from) {
                        strangers.ingress
                    } else {
                        required.ingress
                    },
                }
            }
            Self::NothingAtStart => required.unless(at_start),
            Self::NoAcceptsAtStart if at_start => closed(attempt),
            Self::NoPeersAtStart if at_start => attempt.required_as_reread()?,
            Self::OverwrittenAtStart if at_start => by_last_policy(attempt)?,
            Self::FlushedByOthers if told.len() == 2 => {
                let first = attempt.world.nodes.first().map(|node| node.name.as_str());
                let flushed = |end: Option<&LabPod>| end.is_some_and(|lab| first == Some(lab.node.as_str()));
                required.opened(flushed(attempt.from), flushed(attempt.to))
            }
            Self::NoAcceptsAtStart
            | Self::NoPeersAtStart
            | Self::OverwrittenAtStart
            | Self::FlushedByOthers => required,
            Self::FinishedPodStays => haunted(attempt, required)?,
            Self::OneTellingBehind => attempt.required_in(before.unwrap_or(now))?,
            Self::PodLabelsStale
            | Self::NamespaceLabelsStale
            | Self::DeletedPolicyStays
            | Self::PolicyChangeMissed
            | Self::LaterPolicyMissed
            | Self::ChangedPolicyAbsent => attempt.required_as_reread()?,
        };
        Some(Made::Sides(sides))
    }

    /// The cluster as it is now, with what the enforcer still holds for true.
    pub(in super::super) fn remembered(self, told: &[Snapshot], now: &Snapshot) -> Snapshot {
        let mut held = now.clone();
        match self {
            Self::PodLabelsStale => held.pods.iter_mut().for_each(|pod| {
                let first = told.iter().find_map(|snapshot| snapshot.pod(&pod.name));
                pod.labels = first.map_or_else(|| pod.labels.clone(), |first| first.labels.clone());
            }),
            Self::NamespaceLabelsStale => held.namespaces.iter_mut().for_each(|namespace| {
                let first = told
                    .iter()
                    .find_map(|snapshot| snapshot.namespace(&namespace.name));
                namespace.labels =
                    first.map_or_else(|| namespace.labels.clone(), |first| first.labels.clone());
            }),
            Self::DeletedPolicyStays => {
                for policy in told.iter().rev().flat_map(|snapshot| &snapshot.policies) {
                    if !held.policies.iter().any(|known| known.name() == policy.name()) {
                        held.policies.push(policy.clone());
                    }
                }
            }
            Self::PolicyChangeMissed => held.policies.iter_mut().for_each(|policy| {
                let mut all = told.iter().flat_map(|snapshot| &snapshot.policies);
                if let Some(first) = all.find(|known| known.name() == policy.name()) {
                    *policy = first.clone();
                }
            }),
            Self::LaterPolicyMissed => {
                if let Some(first) = told.first() {
                    let known = |name| first.policies.iter().any(|policy| policy.name() == name);
                    held.policies.retain(|policy| known(policy.name()));
                }
            }
            Self::ChangedPolicyAbsent => {
                if let [.., before, _] = told {
                    held.policies.retain(|policy| {
                        let mut same_name = before
                            .policies
                            .iter()
                            .filter(|known| known.name() == policy.name());
                        same_name.all(|known| known.object == policy.object)
                    });
                }
            }
            // Selectors in rules select nobody.
            Self::NoPeersAtStart if told.len() <= 1 => {
                held = each_rule(now, |mut rule| {
                    rule.each_peer(|peer| {
                        if peer.ip_block.is_some() {
                            vec![peer]
                        } else {
                            Vec::new()
                        }
                    })
                });
            }
            Self::FinishedPodStays => {
                let ran = |name: &ObjectName| {
                    let mut known = told.iter().filter_map(|snapshot| snapshot.pod(name));
                    known.any(|pod| !pod.phase.is_terminal())
                };
                let ghosts = held
                    .pods
                    .iter_mut()
                    .filter(|pod| pod.phase.is_terminal() && ran(&pod.name));
                ghosts.for_each(|pod| pod.phase = Phase::Running);
            }
            _ => {}
        }
        held
    }
}

/// Isolated sides let nothing through.
fn closed(attempt: &Attempt<'_>) -> Sides {
    Sides {
        egress: !attempt.isolated(Way::Egress),
        ingress: !attempt.isolated(Way::Ingress),
    }
}

/// Of the policies with rules for a side, only the last one's hold.
fn by_last_policy(attempt: &Attempt<'_>) -> Option<Sides> {
    let snapshot = &attempt.world.snapshot;
    let side = |way: Way| {
        let Some(pod) = attempt.ends(way).0.map(|lab| &lab.pod) else {
            return Some(OPEN);
        };
        let isolating = isolating(snapshot, pod, way);
        let Some(last) = isolating.iter().rev().find(|policy| !without_rules(policy, way)) else {
            return Some(if isolating.is_empty() { OPEN } else { CLOSED });
        };
        let mut alone = snapshot.clone();
        alone
            .policies
            .retain(|policy| std::ptr::eq(&raw const *policy.object, &raw const **last));
        attempt.required_in(&alone)
    };
    Some(Sides {
        egress: side(Way::Egress)?.egress,
        ingress: side(Way::Ingress)?.ingress,
    })
}

const CLOSED: Sides = Sides {
    egress: false,
    ingress: false,
};

/// A side lets through whom it lets through, and whom the pod would be that had the other end's address before.
fn haunted(attempt: &Attempt<'_>, required: Sides) -> Option<Sides> {
    let now = &attempt.world.snapshot;
    let revived = attempt.reread;
    let ghost = |address| {
        let mut pods = revived.pods.iter();
        pods.find(|pod| {
            pod.ips.contains(&address) && now.pod(&pod.name).is_some_and(|now| now.phase.is_terminal())
        })
    };
    let mut sides = required;
    let views = attempt.views();
    let (from, to) = attempt.pods();
    if let Some(ghost) = ghost(attempt.from_address).filter(|_| views.source.is_none()) {
        sides.ingress |= attempt.between(revived, Some(ghost), to)?.ingress;
    }
    if let Some(ghost) = ghost(attempt.to_address).filter(|_| views.destination.is_none()) {
        sides.egress |= attempt.between(revived, from, Some(ghost))?.egress;
    }
    Some(sides)
}
