//! Loads the rules of Services into the nodes, and keeps them as the Services are.

use std::{collections::BTreeMap, env, fs, io, path::PathBuf, process::Command};

use super::{error::ProxyError, plan, render};
use crate::lab::{Netns, NetnsError, World, enforcer::said};

/// Bridged packets between two pods of a node must be shown to netfilter, or an answer would not be translated back.
const BRIDGE_SWITCHES: [&str; 2] = [
    "/proc/sys/net/bridge/bridge-nf-call-iptables",
    "/proc/sys/net/bridge/bridge-nf-call-ip6tables",
];

/// Keeps every node's translation as the Services are.
#[derive(Debug, Default)]
pub struct Proxy {
    /// What is loaded, by node.
    loaded: BTreeMap<String, String>,
    /// Whether an earlier process may have loaded something.
    inherited: bool,
}

impl Proxy {
    /// For a cluster that may stand since before this process: what its Services were then must go with them.
    #[must_use]
    pub const fn of_standing() -> Self {
        Self {
            loaded: BTreeMap::new(),
            inherited: true,
        }
    }

    /// Whether Services can be translated on this machine.
    #[must_use]
    pub fn is_possible() -> bool {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|folder| folder.join("nft").is_file())
    }

    /// Makes the nodes translate what the world's Services say. A node whose rules stay the same is not touched.
    ///
    /// # Errors
    /// A node cannot be entered, or `nft` refuses.
    pub fn apply(&mut self, world: &World) -> Result<(), ProxyError> {
        for node in &world.nodes {
            let doors = plan::doors(&world.snapshot, node);
            let text = render::render(&doors);
            let known = self.loaded.get(&node.name);
            let nothing_there = !self.inherited && known.is_none() && doors.is_empty();
            if known == Some(&text) || nothing_there {
                continue;
            }
            let netns = Netns::open(node.netns_name())?;
            if node.bridge.is_some() && !doors.is_empty() {
                show_bridged(&netns)?;
            }
            match load(&node.name, &netns, &text) {
                // Without nft nothing was ever loaded.
                Err(ProxyError::Netns(NetnsError::Command { source, .. }))
                    if doors.is_empty() && source.kind() == io::ErrorKind::NotFound => {}
                loaded => loaded?,
            }
            self.loaded.insert(node.name.clone(), text);
        }
        Ok(())
    }
}

fn show_bridged(netns: &Netns) -> Result<(), ProxyError> {
    netns.run(|| {
        for path in BRIDGE_SWITCHES {
            fs::write(path, "1").map_err(|source| ProxyError::Switch {
                netns: netns.name().to_owned(),
                path: PathBuf::from(path),
                source,
            })?;
        }
        Ok(())
    })?
}

fn load(node: &str, netns: &Netns, text: &str) -> Result<(), ProxyError> {
    let mut command = Command::new("nft");
    command.args(["-f", "-"]);
    let ended = netns.command_with_input(command, text.as_bytes())?;
    if ended.status.success() {
        return Ok(());
    }
    Err(ProxyError::Refused {
        node: node.to_owned(),
        status: ended.status,
        message: said(&String::from_utf8_lossy(&ended.stderr)),
    })
}
