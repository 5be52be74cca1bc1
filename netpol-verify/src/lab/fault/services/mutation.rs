//! What each fault of Services and nodes does to the rules.

use std::net::IpAddr;

use super::ServiceFault;
use crate::lab::{
    World,
    enforcer::{
        engine::{Engine, Unasked},
        rules::{Destination, NodePlan, Scope, gates, tables},
    },
    literal::Way,
};

impl ServiceFault {
    /// Makes the correct plans wrong in this way.
    pub(in super::super) fn mutate(self, world: &World, plans: &mut [NodePlan]) {
        match self {
            Self::PathBypass => everywhere(plans, |engine| engine.unasked = Unasked::Translated),
            Self::NodePortUnasked => by_node(world, plans, |engine, addresses| {
                engine.unasked = Unasked::SentTo(addresses.to_vec());
            }),
            Self::SourceLost => by_node(world, plans, |engine, addresses| {
                engine.rewrites_clients_to = addresses.to_vec();
            }),
            Self::EgressByDialledPort => destinations(plans, Way::Egress, Destination::DialledPort),
            Self::EgressByDialled => destinations(plans, Way::Egress, Destination::Dialled),
            Self::IngressByDialledPort => destinations(plans, Way::Ingress, Destination::DialledPort),
            Self::NodesLetIn => {
                let nodes = world.nodes.iter();
                let all: Vec<IpAddr> = nodes
                    .flat_map(|node| node.addresses.iter().copied().chain(node.tunnel_ends()))
                    .collect();
                everywhere(plans, |engine| {
                    engine.foreign_accepts = all.iter().copied().map(Into::into).collect();
                });
            }
            Self::NodesReached => {
                let nodes = world.nodes.iter();
                let all: Vec<IpAddr> = nodes.flat_map(|node| node.addresses.clone()).collect();
                everywhere(plans, |engine| engine.accepts_towards.clone_from(&all));
            }
            Self::OutsideLetIn => only_pods(world, plans, Way::Ingress),
            Self::OutsideReached => only_pods(world, plans, Way::Egress),
        }
    }
}

fn everywhere(plans: &mut [NodePlan], change: impl Fn(&mut Engine)) {
    tables(plans).for_each(|table| change(&mut table.engine));
}

/// Changes each node's engine, by the node's addresses.
fn by_node(world: &World, plans: &mut [NodePlan], change: impl Fn(&mut Engine, &[IpAddr])) {
    for plan in plans {
        if let (Some(table), Some(node)) = (plan.table.as_mut(), world.node(&plan.node)) {
            change(&mut table.engine, &node.addresses);
        }
    }
}

fn destinations(plans: &mut [NodePlan], way: Way, destination: Destination) {
    gates(plans)
        .filter(|gate| gate.way == way)
        .for_each(|gate| gate.destination = destination);
}

/// Lets gates look at the cluster's pods only.
fn only_pods(world: &World, plans: &mut [NodePlan], way: Way) {
    let all: Vec<IpAddr> = world.pods.iter().flat_map(|lab| lab.pod.ips.clone()).collect();
    gates(plans)
        .filter(|gate| gate.way == way)
        .for_each(|gate| gate.scope = Scope::Only(all.clone()));
}
