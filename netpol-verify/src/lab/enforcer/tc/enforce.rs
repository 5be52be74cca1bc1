//! The enforcer: programs on every node, told the gates of their pods.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use netpol_verify_ebpf::gate;
use nix::net::if_::if_nametoindex;

use super::{
    TcError,
    compile::compile,
    program::{Hook, Interface, Placed, Programs},
    services::with_services,
};
use crate::lab::{
    LabNode, Netns, World,
    enforcer::{Enforcer, EnforcerError, rules::NodePlan},
    fault::{self, Fault, Memory},
    literal::Way,
    proxy::doors,
};

/// Enforces policies by eBPF programs at the TC hooks of each node's ends of its pods' links. Needs root and Linux 5.17.
#[derive(Debug)]
pub struct Tc {
    hook: Hook,
    fault: Option<Fault>,
    /// What it knows from before; only some faults look at it.
    memory: Box<Memory>,
    /// What runs, by node. It ends with this process.
    nodes: BTreeMap<String, Programs>,
}

impl Tc {
    /// A correct enforcer, or one that takes the cluster for another.
    #[must_use]
    pub(in crate::lab::enforcer) fn new(fault: Option<Fault>) -> Self {
        Self::by(Hook::of_kernel(), fault)
    }

    /// By clsact, whatever the kernel has.
    #[must_use]
    pub fn by_clsact() -> Self {
        Self::by(Hook::Clsact, None)
    }

    fn by(hook: Hook, fault: Option<Fault>) -> Self {
        Self {
            hook,
            fault,
            memory: Box::default(),
            nodes: BTreeMap::new(),
        }
    }

    /// Ends the enforcement; nothing of it stays.
    pub(in crate::lab::enforcer) fn end(&mut self) {
        self.nodes.clear();
    }

    fn set_up(&mut self, world: &World, node: &LabNode, plan: &NodePlan) -> Result<(), TcError> {
        let netns = Netns::open(node.netns_name())?;
        let links: BTreeSet<&str> = world
            .pods
            .iter()
            .filter(|lab| lab.node == node.name && !lab.pod.host_network)
            .map(|lab| &*lab.host_interface)
            .collect();
        let interfaces: BTreeSet<Interface> =
            netns.run(|| links.iter().map(|name| interface(name)).collect::<Result<_, _>>())??;
        let doors = doors(&world.snapshot, node);
        let gates = plan.table.iter().flat_map(|table| &table.gates);
        let placed: Vec<Placed> = gates
            .filter_map(|gate| {
                let link = &world.pod(&gate.pod)?.host_interface;
                Some(Placed {
                    index: interfaces.iter().find(|one| one.name == *link)?.index,
                    way: match gate.way {
                        Way::Ingress => gate::Way::Ingress,
                        Way::Egress => gate::Way::Egress,
                    },
                    rules: with_services(gate, compile(gate, &node.addresses), &doors),
                })
            })
            .collect();
        let programs = match self.nodes.entry(node.name.clone()) {
            std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(Programs::load(netns, self.hook)?)
            }
        };
        programs.enforce(&interfaces, &placed)?;
        tracing::debug!(node = node.name, gates = placed.len(), "Loaded the rules.");
        Ok(())
    }
}

fn interface(name: &str) -> Result<Interface, TcError> {
    let index = if_nametoindex(name).map_err(|source| TcError::Interface {
        interface: name.to_owned(),
        source: io::Error::from(source),
    })?;
    Ok(Interface {
        name: name.to_owned(),
        index,
    })
}

impl Enforcer for Tc {
    async fn apply(&mut self, world: &World) -> Result<(), EnforcerError> {
        for plan in &fault::plans(self.fault, &mut self.memory, world) {
            if let Some(node) = world.node(&plan.node) {
                self.set_up(world, node, plan)
                    .map_err(|source| EnforcerError::Tc {
                        node: node.name.clone(),
                        source: Box::new(source),
                    })?;
            }
        }
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), EnforcerError> {
        self.end();
        Ok(())
    }
}
