//! What each fault does to the gates.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{GateFault, RESERVED_LABEL, SET_SIZE, prefix};
use crate::{
    cluster::ObjectName,
    lab::{
        World,
        enforcer::rules::{BridgeFilter, Gate, NodePlan, Refusal, Scope, gates, tables},
        literal::{Peers, Way},
    },
};

impl GateFault {
    /// Makes the correct plans wrong in this way.
    pub(in super::super) fn mutate(self, world: &World, plans: &mut [NodePlan]) {
        match self {
            Self::NoEngine => plans.iter_mut().for_each(|plan| plan.table = None),
            Self::ChainsEmpty => tables(plans).for_each(|table| table.gates.clear()),
            Self::OneNodeDead => {
                if let Some(last) = plans.last_mut() {
                    last.table = None;
                }
            }
            Self::SetFull => {
                let full = |plan: &NodePlan| plan.table.iter().flat_map(|table| &table.gates).any(overflows);
                plans
                    .iter_mut()
                    .filter(|plan| full(plan))
                    .for_each(|plan| plan.table = None);
            }
            Self::BridgeNfOff => bridge_filters(plans, |_| (false, false)),
            Self::BridgeNfOffIpv4 => bridge_filters(plans, |filter| (false, filter.ipv6)),
            Self::BridgeNfOffIpv6 => bridge_filters(plans, |filter| (filter.ipv4, false)),
            Self::EgressUnsupported => retain(plans, |gate| gate.way != Way::Egress),
            Self::IngressUnsupported => retain(plans, |gate| gate.way != Way::Ingress),
            Self::SameNodeOnly => scopes(world, plans, true),
            Self::CrossNodeOnly => scopes(world, plans, false),
            Self::SharedByPrefix => share(world, plans),
            Self::KeyCollision => {
                let mut taken = BTreeSet::new();
                let mut without = BTreeSet::new();
                for lab in &world.pods {
                    let name = &lab.pod.name;
                    if !taken.insert(format!("{}{}", name.namespace, name.name)) {
                        without.insert(name.clone());
                    }
                }
                retain(plans, |gate| !without.contains(&gate.pod));
            }
            Self::ForgedNamespace => {
                let carries = |name: &ObjectName| {
                    let lab = world.pod(name);
                    lab.is_some_and(|lab| lab.pod.labels.contains_key(RESERVED_LABEL))
                };
                retain(plans, |gate| !carries(&gate.pod));
            }
            Self::DenyBeatsAllow => {
                gates(plans)
                    .filter(|gate| gate.by_bare_denial)
                    .for_each(|gate| gate.accepts.clear());
            }
            Self::RetransmittedSynAccepted => {
                gates(plans).for_each(|gate| gate.refusal = Refusal::DropFirstSyn);
            }
            Self::Ipv6Open => gates(plans).for_each(|gate| gate.addresses.retain(IpAddr::is_ipv4)),
            Self::Ipv4Open => gates(plans).for_each(|gate| gate.addresses.retain(IpAddr::is_ipv6)),
            Self::StartupReplyLost => tables(plans).for_each(|table| {
                table.without_entries = table
                    .gates
                    .iter()
                    .filter(|gate| gate.way == Way::Egress && gate.isolates)
                    .flat_map(|gate| gate.addresses.clone())
                    .collect();
            }),
        }
    }
}

fn retain(plans: &mut [NodePlan], stays: impl Fn(&Gate) -> bool) {
    tables(plans).for_each(|table| table.gates.retain(|gate| stays(gate)));
}

fn bridge_filters(plans: &mut [NodePlan], change: impl Fn(BridgeFilter) -> (bool, bool)) {
    for plan in plans {
        plan.bridge_filter = plan.bridge_filter.map(|filter| {
            let (ipv4, ipv6) = change(filter);
            BridgeFilter { ipv4, ipv6 }
        });
    }
}

/// Whether a gate lists more pods in one family than a set holds.
fn overflows(gate: &Gate) -> bool {
    gate.accepts.iter().any(|accept| match &accept.peers {
        Peers::Any => false,
        Peers::Listed { addresses, .. } => {
            addresses.iter().filter(|address| address.is_ipv4()).count() > SET_SIZE
        }
    })
}

/// Lets gates look only at pods of their own node, or only at those of others.
fn scopes(world: &World, plans: &mut [NodePlan], own: bool) {
    for plan in plans {
        let seen: Vec<IpAddr> = world
            .pods
            .iter()
            .filter(|lab| (lab.node == plan.node) == own)
            .flat_map(|lab| lab.pod.ips.clone())
            .collect();
        for gate in plan.table.iter_mut().flat_map(|table| &mut table.gates) {
            gate.scope = Scope::Only(seen.clone());
        }
    }
}

/// Gives the pods of one name prefix the gates of the first of them.
fn share(world: &World, plans: &mut [NodePlan]) {
    let all: Vec<Gate> = gates(plans).map(|gate| gate.clone()).collect();
    let mut firsts: BTreeMap<(&str, &str), &ObjectName> = BTreeMap::new();
    for lab in &world.pods {
        let name = &lab.pod.name;
        let Some(prefix) = prefix(&name.name) else {
            continue;
        };
        let first = *firsts.entry((&name.namespace, prefix)).or_insert(name);
        let Some(plan) = plans.iter_mut().find(|plan| plan.node == lab.node) else {
            continue;
        };
        let Some(table) = plan.table.as_mut().filter(|_| first != name) else {
            continue;
        };
        table.gates.retain(|gate| gate.pod != *name);
        let of_first = all.iter().filter(|gate| gate.pod == *first);
        table.gates.extend(of_first.map(|gate| Gate {
            pod: name.clone(),
            addresses: lab.pod.ips.clone(),
            ..gate.clone()
        }));
    }
}
