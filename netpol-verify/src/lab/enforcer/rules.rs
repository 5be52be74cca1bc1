//! The rules of every node as a small model, before any of it is text; a fault is a change to this model.

use std::net::IpAddr;

use super::engine::Engine;
use crate::{
    cluster::ObjectName,
    lab::{
        World,
        literal::{Accept, Peers, PodPostures, Posture, Ruling, Way, flatten},
    },
};

/// What is to be set up on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodePlan {
    /// The node's name.
    pub(crate) node: String,
    /// Of which family bridged packets are shown to the rules; `None` where there is no bridge to set it for.
    pub(crate) bridge_filter: Option<BridgeFilter>,
    /// The table; `None` when the engine is not there.
    pub(crate) table: Option<Table>,
}

/// Of which family bridged packets are shown to the rules (`bridge-nf-call-iptables`, `bridge-nf-call-ip6tables`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BridgeFilter {
    /// IPv4.
    pub(crate) ipv4: bool,
    /// IPv6.
    pub(crate) ipv6: bool,
}

/// The node's end of a pod's link, and what the pod may send from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodLink {
    /// The interface on the node.
    pub(crate) interface: String,
    /// The pod's addresses.
    pub(crate) addresses: Vec<IpAddr>,
}

/// The rules of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// One for each direction of each pod on the node that policies speak about; egress is asked before ingress.
    pub(crate) gates: Vec<Gate>,
    /// Clients on the node whose flows get no entry, so that replies to them are dropped.
    pub(crate) without_entries: Vec<IpAddr>,
    /// The links of the pods on the node.
    pub(crate) links: Vec<PodLink>,
    /// How packets are treated besides.
    pub(crate) engine: Engine,
}

/// One direction of one pod that policies speak about: `admin` is asked first, then `accepts` and `refusal` where NetworkPolicies
/// isolate the pod, else `baseline`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    /// The pod; for the people who read the model.
    pub(crate) pod: ObjectName,
    /// The direction.
    pub(crate) way: Way,
    /// The pod's addresses that the gate stands before.
    pub(crate) addresses: Vec<IpAddr>,
    /// Whose traffic it looks at; others pass.
    pub(crate) scope: Scope,
    /// The administrators' first word.
    pub(crate) admin: Vec<Ruling>,
    /// Whether NetworkPolicies isolate the pod in this direction.
    pub(crate) isolates: bool,
    /// What NetworkPolicies let through.
    pub(crate) accepts: Vec<Accept>,
    /// Whether a policy without rules is among those that isolate.
    pub(crate) by_bare_denial: bool,
    /// The administrators' last word.
    pub(crate) baseline: Vec<Ruling>,
    /// What happens to what is refused.
    pub(crate) refusal: Refusal,
    /// Which destination it holds against its rules, where that is translated.
    pub(crate) destination: Destination,
}

/// Which destination a gate holds against its rules, on the node that translates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// The pod behind a Service, and the port there.
    Behind,
    /// The pod, and the port that was dialled.
    DialledPort,
    /// The address and the port that were dialled.
    Dialled,
}

/// Whose traffic a gate looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everybody's.
    Everybody,
    /// Only that of these addresses.
    Only(Vec<IpAddr>),
}

/// What happens to what a gate refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is dropped.
    Drop,
    /// The first SYN of a connection is dropped; its retransmission passes.
    DropFirstSyn,
}

impl Gate {
    /// Leaves out of what it lets through the pods' addresses that do not stay.
    pub(crate) fn keep_addresses(&mut self, stays: impl Fn(IpAddr) -> bool) {
        self.accepts.retain_mut(|accept| match &mut accept.peers {
            Peers::Any => true,
            Peers::Listed { blocks, addresses } => {
                addresses.retain(|address| stays(*address));
                !blocks.is_empty() || !addresses.is_empty()
            }
        });
    }
}

/// The tables of nodes that have one.
pub(crate) fn tables(plans: &mut [NodePlan]) -> impl Iterator<Item = &mut Table> {
    plans.iter_mut().filter_map(|plan| plan.table.as_mut())
}

/// The gates of all nodes.
pub(crate) fn gates(plans: &mut [NodePlan]) -> impl Iterator<Item = &mut Gate> {
    tables(plans).flat_map(|table| &mut table.gates)
}

/// The correct rules, node by node.
pub(crate) fn plan(world: &World) -> Vec<NodePlan> {
    let postures = flatten(&world.snapshot);
    world
        .nodes
        .iter()
        .map(|node| {
            let local = postures
                .iter()
                .filter(|pod| world.pod(&pod.name).is_some_and(|lab| lab.node == node.name));
            let gates = local
                .flat_map(|pod| {
                    [(Way::Egress, &pod.egress), (Way::Ingress, &pod.ingress)]
                        .into_iter()
                        .filter(|(_, posture)| !posture.is_open())
                        .map(|(way, posture)| gate(pod, way, posture))
                })
                .collect();
            NodePlan {
                node: node.name.clone(),
                bridge_filter: node.bridge.is_some().then_some(BridgeFilter {
                    ipv4: true,
                    ipv6: true,
                }),
                table: Some(Table {
                    gates,
                    links: links(world, &node.name),
                    ..Table::default()
                }),
            }
        })
        .collect()
}

fn gate(pod: &PodPostures, way: Way, posture: &Posture) -> Gate {
    let isolation = posture.isolation.as_ref();
    Gate {
        pod: pod.name.clone(),
        way,
        addresses: pod.addresses.clone(),
        scope: Scope::Everybody,
        admin: posture.admin.clone(),
        isolates: isolation.is_some(),
        accepts: isolation.map_or_else(Vec::new, |it| it.accepts.clone()),
        by_bare_denial: isolation.is_some_and(|it| it.by_bare_denial),
        baseline: posture.baseline.clone(),
        refusal: Refusal::Drop,
        destination: Destination::Behind,
    }
}

/// The links of the pods on a node; a pod in the node's own network has none.
fn links(world: &World, node: &str) -> Vec<PodLink> {
    let local = world.pods.iter().filter(|lab| lab.node == node);
    local
        .filter(|lab| !lab.pod.host_network && !lab.host_interface.is_empty())
        .map(|lab| PodLink {
            interface: lab.host_interface.clone(),
            addresses: lab.pod.ips.clone(),
        })
        .collect()
}
