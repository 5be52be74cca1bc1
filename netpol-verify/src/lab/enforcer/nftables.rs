//! The lab's own enforcer: one nftables table on each node, correct unless a fault is asked for.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use futures_util::future::try_join_all;

use super::{
    Enforcer, EnforcerError, command, render, render_engine,
    rules::{BridgeFilter, NodePlan},
    tool::Tool,
};
use crate::lab::{
    World,
    fault::{self, Fault, Memory},
};

/// Enforces policies by nftables in each node's network namespace. Needs root.
#[derive(Debug, Default)]
pub struct Nftables {
    fault: Option<Fault>,
    /// What it knows from before; only some faults look at it.
    memory: Box<Memory>,
    /// Where rules were loaded, by node, and the text that removes them.
    loaded: BTreeMap<String, (PathBuf, String)>,
}

impl Nftables {
    /// A correct enforcer, or one that is wrong in a known way.
    #[must_use]
    pub fn new(fault: Option<Fault>) -> Self {
        Self {
            fault,
            ..Self::default()
        }
    }

    /// Forgets what it knows from before; the rules stay.
    pub(super) fn forget(&mut self) {
        *self.memory = Memory::default();
    }
}

impl Enforcer for Nftables {
    async fn apply(&mut self, world: &World) -> Result<(), EnforcerError> {
        let plans = fault::plans(self.fault, &mut self.memory, world);
        let mut work = Vec::new();
        for plan in &plans {
            if let Some(node) = world.node(&plan.node) {
                let loaded = (node.netns.clone(), removal(plan));
                self.loaded.insert(node.name.clone(), loaded);
                work.push(set_up(&node.name, &node.netns, plan));
            }
        }
        try_join_all(work).await.map(drop)
    }

    async fn stop(&mut self) -> Result<(), EnforcerError> {
        let loaded = std::mem::take(&mut self.loaded);
        // A namespace that is gone took its rules along.
        let work = loaded
            .iter()
            .filter(|(_, (netns, _))| netns.exists())
            .map(|(node, (netns, removal))| nft(node, netns, removal));
        try_join_all(work).await.map(drop)
    }
}

async fn set_up(node: &str, netns: &Path, plan: &NodePlan) -> Result<(), EnforcerError> {
    if let Some(on) = plan.bridge_filter {
        set_bridge_filter(node, netns, on).await?;
    }
    let text = text(plan);
    nft(node, netns, &text).await?;
    tracing::debug!(
        node,
        gates = plan.table.as_ref().map_or(0, |table| table.gates.len()),
        "Loaded the rules."
    );
    Ok(())
}

/// `nft` takes milliseconds, and a file as one transaction.
const NFT: Tool = Tool {
    program: "nft",
    package: "nftables",
    arguments: &["-f", "-"],
};

/// The rules of a node; where it has none, what removes those that were there.
pub(super) fn text(plan: &NodePlan) -> String {
    let bridged = plan.bridge_filter.is_some();
    let Some(table) = &plan.table else {
        return removal(plan);
    };
    let beside = if bridged {
        render_engine::beside(table)
    } else {
        String::new()
    };
    render::render(table, bridged) + &beside
}

fn removal(plan: &NodePlan) -> String {
    let beside = plan
        .bridge_filter
        .map(|_| render::removal(render_engine::BRIDGE_TABLE));
    render::removal(render::TABLE) + &beside.unwrap_or_default()
}

async fn nft(node: &str, netns: &Path, text: &str) -> Result<(), EnforcerError> {
    NFT.run(node, netns, text).await.map(drop)
}

/// Shows bridged packets to the hooks of `inet` and of iptables, or hides them. The switches are per network namespace (Linux 5.3,
/// `net/bridge/br_netfilter_hooks.c`), that of the thread which opens the file.
pub(super) async fn set_bridge_filter(
    node: &str,
    netns: &Path,
    on: BridgeFilter,
) -> Result<(), EnforcerError> {
    for (path, on) in [
        ("/proc/sys/net/bridge/bridge-nf-call-iptables", on.ipv4),
        ("/proc/sys/net/bridge/bridge-nf-call-ip6tables", on.ipv6),
    ] {
        let value = if on { "1" } else { "0" };
        command::within(netns, move || fs::write(path, value))
            .await
            .map_err(|source| EnforcerError::Netns {
                node: node.to_owned(),
                path: netns.to_owned(),
                source,
            })?
            .map_err(|source| EnforcerError::BridgeFilter {
                node: node.to_owned(),
                path: path.into(),
                source,
            })?;
    }
    Ok(())
}
