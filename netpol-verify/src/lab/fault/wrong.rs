//! The rules of an enforcer with a fault, from what it is told to the plan of every node.

use super::{Fault, Memory, entry::How};
use crate::lab::{
    World,
    enforcer::rules::{NodePlan, plan},
};

/// The plans of an enforcer that is told how the cluster stands now, and knows what it was told before.
pub(crate) fn plans(fault: Option<Fault>, memory: &mut Memory, world: &World) -> Vec<NodePlan> {
    let Some(fault) = fault else {
        return plan(world);
    };
    let taken_for = match fault.how() {
        How::Memory(fault) => Some(memory.told(fault, &world.snapshot)),
        how => how.misread(&world.snapshot),
    };
    let mut plans = match taken_for {
        None => plan(world),
        Some(snapshot) => plan(&World {
            nodes: world.nodes.clone(),
            pods: world.pods.clone(),
            snapshot,
        }),
    };
    match fault.how() {
        How::Gates(fault) => fault.mutate(world, &mut plans),
        How::Accepts(fault) => fault.mutate(world, &mut plans),
        How::Engine(fault) => fault.mutate(world, &mut plans),
        How::Services(fault) => fault.mutate(world, &mut plans),
        How::Memory(fault) => memory.mutate(fault, &mut plans),
        How::Ports(_) | How::Peers(_) | How::Selectors(_) | How::Policies(_) | How::Pods(_) => {}
    }
    plans
}
