//! What each fault does to the engine.

use ipnet::IpNet;

use super::EngineFault;
use crate::lab::{
    World,
    enforcer::{
        engine::{Accepted, Engine, KnownSyns, Ungated},
        rules::{NodePlan, tables},
    },
    literal::Way,
};

impl EngineFault {
    /// Makes the correct plans wrong in this way.
    pub(in super::super) fn mutate(self, world: &World, plans: &mut [NodePlan]) {
        match self {
            Self::JumpMissing => {
                if let Some(engine) = plans.first_mut().and_then(engine) {
                    engine.asks_gates = false;
                }
            }
            Self::OneNodeClosed | Self::MemoryFull => {
                if let Some(engine) = plans.last_mut().and_then(engine) {
                    engine.ungated = Ungated::Dropped;
                    engine.remembers_flows = self == Self::MemoryFull;
                }
            }
            Self::EgressAcceptSkipsIngress => everywhere(plans, |engine| engine.accepted = Accepted::Passes),
            Self::FallsToForeignDrop => everywhere(plans, |engine| engine.accepted = Accepted::FallsToDrop),
            Self::ForeignAcceptAbove => {
                let first = world.nodes.first().map(|node| node.name.as_str());
                let of_first: Vec<IpNet> = world
                    .pods
                    .iter()
                    .filter(|lab| first == Some(lab.node.as_str()))
                    .flat_map(|lab| lab.pod.ips.iter().copied().map(IpNet::from))
                    .collect();
                everywhere(plans, |engine| engine.foreign_accepts.clone_from(&of_first));
            }
            Self::RepliesAsked => everywhere(plans, |engine| engine.remembers_flows = false),
            Self::Untracked => tables(plans).for_each(|table| {
                let gates = table
                    .gates
                    .iter()
                    .filter(|gate| gate.way == Way::Ingress && gate.isolates);
                table.engine.untracked = gates.flat_map(|gate| gate.addresses.clone()).collect();
            }),
            Self::NodeIdentity => {
                for plan in plans {
                    let node = world.node(&plan.node);
                    if let (Some(engine), Some(node)) = (engine(plan), node) {
                        engine.rewrites_sources_to.clone_from(&node.addresses);
                    }
                }
            }
            Self::HolePunch => everywhere(plans, |engine| engine.known_syns = KnownSyns::AgainstTheFlow),
            Self::SourceSpoof => everywhere(plans, |engine| engine.takes_any_source = true),
            Self::EncapFromPod => everywhere(plans, |engine| engine.unpacks_for_pods = true),
        }
    }
}

fn engine(plan: &mut NodePlan) -> Option<&mut Engine> {
    plan.table.as_mut().map(|table| &mut table.engine)
}

fn everywhere(plans: &mut [NodePlan], change: impl Fn(&mut Engine)) {
    tables(plans).for_each(|table| change(&mut table.engine));
}
