//! What each fault of memory makes of a telling.

use std::net::IpAddr;

use super::{Memory, MemoryFault};
use crate::{
    cluster::{Phase, Snapshot},
    lab::enforcer::rules::{NodePlan, gates, tables},
};

impl Memory {
    /// Takes in how the cluster stands, and gives what the enforcer takes it to be.
    pub(in super::super) fn told(&mut self, fault: MemoryFault, now: &Snapshot) -> Snapshot {
        self.times += 1;
        self.new = match &self.last {
            None => Vec::new(),
            Some(last) => {
                let names = now.pods.iter().map(|pod| pod.name.clone());
                names.filter(|name| last.pod(name).is_none()).collect()
            }
        };
        let belief = match (&self.believed, &self.last) {
            (Some(believed), Some(last)) => believe(fault, believed, last, now),
            _ => now.clone(),
        };
        self.believed = Some(belief.clone());
        self.last = Some(now.clone());
        belief
    }

    /// What becomes of the rules.
    pub(in super::super) fn mutate(&self, fault: MemoryFault, plans: &mut [NodePlan]) {
        let at_start = self.times == 1;
        match fault {
            MemoryFault::NewPodUngated => {
                tables(plans).for_each(|table| table.gates.retain(|gate| !self.new.contains(&gate.pod)));
            }
            MemoryFault::NewPodUnknown => {
                let pods = self.last.iter().flat_map(|last| &last.pods);
                let new: Vec<IpAddr> = pods
                    .filter(|pod| self.new.contains(&pod.name))
                    .flat_map(|pod| pod.ips.clone())
                    .collect();
                gates(plans).for_each(|gate| gate.keep_addresses(|address| !new.contains(&address)));
            }
            MemoryFault::NothingAtStart if at_start => plans.iter_mut().for_each(|plan| plan.table = None),
            MemoryFault::NoAcceptsAtStart if at_start => {
                gates(plans).for_each(|gate| gate.accepts.clear());
            }
            MemoryFault::NoPeersAtStart if at_start => {
                gates(plans).for_each(|gate| gate.keep_addresses(|_| false));
            }
            MemoryFault::OverwrittenAtStart if at_start => gates(plans).for_each(|gate| {
                let last = gate
                    .accepts
                    .iter()
                    .map(|accept| accept.origin.policy.clone())
                    .next_back();
                gate.accepts
                    .retain(|accept| Some(&accept.origin.policy) == last.as_ref());
            }),
            MemoryFault::FlushedByOthers if self.times == 2 => {
                if let Some(table) = plans.first_mut().and_then(|plan| plan.table.as_mut()) {
                    table.gates.clear();
                }
            }
            _ => {}
        }
    }
}

/// What the enforcer takes the cluster to be, by what it took it to be before and what it was told last.
fn believe(fault: MemoryFault, believed: &Snapshot, last: &Snapshot, now: &Snapshot) -> Snapshot {
    let mut belief = now.clone();
    match fault {
        MemoryFault::PodLabelsStale => {
            for pod in &mut belief.pods {
                if let Some(known) = believed.pod(&pod.name) {
                    pod.labels.clone_from(&known.labels);
                }
            }
        }
        MemoryFault::NamespaceLabelsStale => {
            for namespace in &mut belief.namespaces {
                if let Some(known) = believed.namespace(&namespace.name) {
                    namespace.labels.clone_from(&known.labels);
                }
            }
        }
        MemoryFault::DeletedPolicyStays => {
            let gone = believed.policies.iter().filter(|policy| !has(now, policy));
            belief.policies.extend(gone.cloned());
        }
        MemoryFault::PolicyChangeMissed => {
            for policy in &mut belief.policies {
                if let Some(known) = believed
                    .policies
                    .iter()
                    .find(|known| known.name() == policy.name())
                {
                    *policy = known.clone();
                }
            }
        }
        MemoryFault::LaterPolicyMissed => belief.policies.retain(|policy| has(believed, policy)),
        MemoryFault::FinishedPodStays => {
            for pod in &mut belief.pods {
                let ran = believed
                    .pod(&pod.name)
                    .is_some_and(|known| !known.phase.is_terminal());
                if pod.phase.is_terminal() && ran {
                    pod.phase = Phase::Running;
                }
            }
        }
        MemoryFault::OneTellingBehind => return last.clone(),
        MemoryFault::ChangedPolicyAbsent => belief.policies.retain(|policy| {
            let before = last.policies.iter().find(|known| known.name() == policy.name());
            before.is_none_or(|before| before.object == policy.object)
        }),
        MemoryFault::NewPodUngated
        | MemoryFault::NewPodUnknown
        | MemoryFault::NothingAtStart
        | MemoryFault::NoAcceptsAtStart
        | MemoryFault::NoPeersAtStart
        | MemoryFault::OverwrittenAtStart
        | MemoryFault::FlushedByOthers => {}
    }
    belief
}

fn has(snapshot: &Snapshot, policy: &crate::cluster::SourcedPolicy) -> bool {
    snapshot
        .policies
        .iter()
        .any(|known| known.name() == policy.name())
}
