//! What each fault does to the rules.

use std::net::IpAddr;

use super::Fault;
use crate::lab::{
    World,
    enforcer::rules::{Gate, NodePlan, Refusal, Scope, Table},
    literal::{Accept, Peers, Way},
};

impl Fault {
    /// Makes the correct plan wrong in this way.
    pub(crate) fn mutate(self, world: &World, plans: &mut [NodePlan]) {
        match self {
            Self::NoEngine => plans.iter_mut().for_each(|plan| plan.table = None),
            Self::OneNodeEngineDead => {
                if let Some(last) = plans.last_mut() {
                    last.table = None;
                }
            }
            Self::BridgeNfOff => {
                for plan in plans {
                    plan.bridge_filter = plan.bridge_filter.map(|_| false);
                }
            }
            Self::EgressUnsupported => {
                tables(plans).for_each(|table| table.gates.retain(|gate| gate.way != Way::Egress));
            }
            Self::SameNodeOnly => {
                for plan in plans {
                    let local = addresses_on(world, &plan.node);
                    for gate in plan.table.iter_mut().flat_map(|table| &mut table.gates) {
                        gate.scope = Scope::Only(local.clone());
                    }
                }
            }
            Self::RetransmittedSynAccepted => {
                gates(plans).for_each(|gate| gate.refusal = Refusal::DropFirstSyn);
            }
            Self::ExceptIgnored => {
                for Accept { peers, .. } in gates(plans).flat_map(|gate| &mut gate.accepts) {
                    if let Peers::Listed { blocks, .. } = peers {
                        blocks.iter_mut().for_each(|block| block.except.clear());
                    }
                }
            }
            Self::OtherFamilyOpen => gates(plans).for_each(|gate| gate.addresses.retain(IpAddr::is_ipv4)),
            Self::DenyBeatsAllow => {
                gates(plans)
                    .filter(|gate| gate.by_bare_denial)
                    .for_each(|gate| gate.accepts.clear());
            }
            Self::StartupReplyLost => tables(plans).for_each(|table| {
                table.without_entries = table
                    .gates
                    .iter()
                    .filter(|gate| gate.way == Way::Egress)
                    .flat_map(|gate| gate.addresses.clone())
                    .collect();
            }),
        }
    }
}

fn tables(plans: &mut [NodePlan]) -> impl Iterator<Item = &mut Table> {
    plans.iter_mut().filter_map(|plan| plan.table.as_mut())
}

fn gates(plans: &mut [NodePlan]) -> impl Iterator<Item = &mut Gate> {
    tables(plans).flat_map(|table| &mut table.gates)
}

fn addresses_on(world: &World, node: &str) -> Vec<IpAddr> {
    world
        .pods
        .iter()
        .filter(|lab| lab.node == node)
        .flat_map(|lab| lab.pod.ips.clone())
        .collect()
}
