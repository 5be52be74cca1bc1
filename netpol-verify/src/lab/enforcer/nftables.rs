//! The lab's own enforcer: one nftables table on each node, correct unless a fault is asked for.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use futures_util::future::try_join_all;

use super::{
    Enforcer, EnforcerError, command, render,
    rules::{self, NodePlan},
    tool::Tool,
};
use crate::lab::{World, fault::Fault};

/// Enforces policies by nftables in each node's network namespace. Needs root.
#[derive(Debug, Default)]
pub struct Nftables {
    fault: Option<Fault>,
    /// Where rules were loaded, by node.
    loaded: BTreeMap<String, PathBuf>,
}

impl Nftables {
    /// A correct enforcer, or one that is wrong in a known way.
    #[must_use]
    pub const fn new(fault: Option<Fault>) -> Self {
        Self {
            fault,
            loaded: BTreeMap::new(),
        }
    }
}

/// The plan of every node, with the fault in it.
pub(super) fn plan(world: &World, fault: Option<Fault>) -> Vec<NodePlan> {
    let mut plans = rules::plan(world);
    if let Some(fault) = fault {
        fault.mutate(world, &mut plans);
    }
    plans
}

impl Enforcer for Nftables {
    async fn apply(&mut self, world: &World) -> Result<(), EnforcerError> {
        let plans = plan(world, self.fault);
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
        let removal = render::removal();
        // A namespace that is gone took its rules along.
        let work = loaded
            .iter()
            .filter(|(_, netns)| netns.exists())
            .map(|(node, netns)| nft(node, netns, &removal));
        try_join_all(work).await.map(drop)
    }
}

async fn set_up(node: &str, netns: &Path, plan: &NodePlan) -> Result<(), EnforcerError> {
    if let Some(on) = plan.bridge_filter {
        set_bridge_filter(node, netns, on).await?;
    }
    let text = plan.table.as_ref().map_or_else(render::removal, render::render);
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

async fn nft(node: &str, netns: &Path, text: &str) -> Result<(), EnforcerError> {
    NFT.run(node, netns, text).await.map(drop)
}

/// Shows bridged packets to the hooks of `inet` and of iptables, or hides them. The switches are per network namespace (Linux 5.3,
/// `net/bridge/br_netfilter_hooks.c`), that of the thread which opens the file.
pub(super) async fn set_bridge_filter(node: &str, netns: &Path, on: bool) -> Result<(), EnforcerError> {
    let value = if on { "1" } else { "0" };
    for path in [
        "/proc/sys/net/bridge/bridge-nf-call-iptables",
        "/proc/sys/net/bridge/bridge-nf-call-ip6tables",
    ] {
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
