//! The lab's enforcer by iptables and ipset, as kube-router, Weave and Azure have it: the filter table of each node, and sets of
//! peers.
//!
//! ```text
//!  NodePlan -- render_iptables -> sets: ipset restore (new ones only) -> tables: iptables-legacy-restore, each in one transaction
//!                                                                     -> sets that no rule names any more: ipset restore
//! ```
//!
//! Sets are named by what is in them, so that a set never changes: between two tables there is no moment of half a policy.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use futures_util::future::try_join_all;

use super::{
    Enforcer, EnforcerError, nftables,
    render_iptables::{self, SET_PREFIX, Texts},
    rules::{NodePlan, Table},
    tool::Tool,
};
use crate::{
    lab::{
        World,
        fault::{self, Fault, Memory},
    },
    net::Family,
};

/// Takes elements that are there already.
const SETS: Tool = Tool {
    program: "ipset",
    package: "ipset",
    arguments: &["-exist", "restore"],
};
const LIST: Tool = Tool {
    program: "ipset",
    package: "ipset",
    arguments: &["list", "-name"],
};
/// The lock of the tables is one for the whole machine, and others may hold it.
const TABLES: [(Family, Tool); 2] = [
    (
        Family::Ipv4,
        Tool {
            program: "iptables-legacy-restore",
            package: "iptables",
            arguments: &["--wait", "20"],
        },
    ),
    (
        Family::Ipv6,
        Tool {
            program: "ip6tables-legacy-restore",
            package: "iptables",
            arguments: &["--wait", "20"],
        },
    ),
];

/// Enforces policies by iptables and ipset in each node's network namespace, whose filter table is its own. Needs root.
#[derive(Debug, Default)]
pub struct Iptables {
    fault: Option<Fault>,
    /// What it knows from before; only some faults look at it.
    memory: Box<Memory>,
    /// Where rules were loaded, by node.
    loaded: BTreeMap<String, PathBuf>,
}

impl Iptables {
    /// A correct enforcer, or one that takes the cluster for another.
    #[must_use]
    pub(super) fn new(fault: Option<Fault>) -> Self {
        Self {
            fault,
            ..Self::default()
        }
    }
}

impl Enforcer for Iptables {
    async fn apply(&mut self, world: &World) -> Result<(), EnforcerError> {
        let plans = fault::plans(self.fault, &mut self.memory, world);
        let mut work = Vec::new();
        for plan in &plans {
            if let Some(node) = world.node(&plan.node) {
                self.loaded.insert(node.name.clone(), node.netns.clone());
                work.push(set_up(&node.name, &node.netns, plan));
            }
        }
        try_join_all(work).await.map(drop)
    }

    async fn stop(&mut self) -> Result<(), EnforcerError> {
        let loaded = std::mem::take(&mut self.loaded);
        let nothing = render_iptables::render(&Table::default());
        // A namespace that is gone took its rules along.
        let work = loaded
            .iter()
            .filter(|(_, netns)| netns.exists())
            .map(|(node, netns)| load(node, netns, &nothing));
        try_join_all(work).await.map(drop)
    }
}

async fn set_up(node: &str, netns: &Path, plan: &NodePlan) -> Result<(), EnforcerError> {
    if let Some(on) = plan.bridge_filter {
        nftables::set_bridge_filter(node, netns, on).await?;
    }
    let none = Table::default();
    let table = plan.table.as_ref().unwrap_or(&none);
    load(node, netns, &render_iptables::render(table)).await?;
    tracing::debug!(node, gates = table.gates.len(), "Loaded the rules.");
    Ok(())
}

async fn load(node: &str, netns: &Path, texts: &Texts) -> Result<(), EnforcerError> {
    if !texts.sets.is_empty() {
        let creation: String = texts.sets.values().map(String::as_str).collect();
        SETS.run(node, netns, &creation).await?;
    }
    for (family, tool) in TABLES {
        tool.run(node, netns, texts.table(family)).await?;
    }
    let there = LIST.run(node, netns, "").await?;
    let stale: String = there
        .lines()
        .filter(|name| name.starts_with(SET_PREFIX) && !texts.sets.contains_key(*name))
        .map(|name| format!("destroy {name}\n"))
        .collect();
    if !stale.is_empty() {
        SETS.run(node, netns, &stale).await?;
    }
    Ok(())
}
