//! Waiting until the kernel has every link and address in use: a link that was just made drops packets for a moment.

use std::time::Duration;

use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, State};

use futures_util::TryStreamExt;

use super::{TopologyError, VirtualCluster};
use crate::{
    cluster::ObjectName,
    lab::{
        Netns,
        wiring::{WiringError, link::Links},
    },
};

/// A loaded machine needs some milliseconds; this is a bound on a broken one.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

/// Waits for all nodes, the fabric and all pods.
pub(super) async fn wait(cluster: &VirtualCluster) -> Result<(), TopologyError> {
    let whole = ObjectName::new("lab", "nodes");
    let nodes = cluster
        .nodes
        .iter()
        .map(|node| (&whole, &node.netns))
        .chain([(&whole, &cluster.fabric)]);
    let pods = cluster.pods.iter().map(|pod| (&pod.name, &pod.netns));
    for (name, netns) in nodes.chain(pods) {
        let links = Links::new(netns)?;
        let mut waited = Duration::ZERO;
        while let Some(what) = missing(&links, netns).await? {
            if waited >= PATIENCE {
                return Err(TopologyError::NotReady {
                    pod: name.clone(),
                    seconds: PATIENCE.as_secs(),
                    what,
                });
            }
            tokio::time::sleep(PAUSE).await;
            waited += PAUSE;
        }
        // The kernel reports a link up a moment before it puts the link's queue in place, both under one lock (`rtnl`;
        // `net/core/link_watch.c`, `linkwatch_do_dev`). A change waits for that lock, and this one changes nothing.
        links.up("lo").await?;
    }
    Ok(())
}

/// The first thing in a namespace that is not in use yet.
async fn missing(links: &Links, netns: &Netns) -> Result<Option<String>, WiringError> {
    let all: Vec<_> = links
        .handle()
        .link()
        .get()
        .execute()
        .try_collect()
        .await
        .map_err(links.failed("list interfaces"))?;
    if let Some(link) = all.iter().find(|link| !is_in_use(link, &all)) {
        return Ok(Some(format!(
            "interface {} of {} is down",
            name_of(link),
            netns.name()
        )));
    }
    let unusable = links.unusable_addresses().await?;
    Ok(unusable
        .first()
        .map(|address| format!("the address {address} of {} is tentative", netns.name())))
}

/// Whether packets pass. Tunnels and `lo` never report a state. A bridge without ports has no carrier and needs none.
fn is_in_use(link: &LinkMessage, all: &[LinkMessage]) -> bool {
    if !link.header.flags.contains(LinkFlags::Up) || link.header.flags.contains(LinkFlags::Loopback) {
        return true;
    }
    let state = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::OperState(state) => Some(*state),
        _ => None,
    });
    matches!(state, Some(State::Up | State::Unknown) | None)
        || (is_bridge(link) && !has_port(link.header.index, all))
}

fn is_bridge(link: &LinkMessage) -> bool {
    link.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.contains(&LinkInfo::Kind(InfoKind::Bridge)),
        _ => false,
    })
}

fn has_port(bridge: u32, all: &[LinkMessage]) -> bool {
    all.iter()
        .any(|link| link.attributes.contains(&LinkAttribute::Controller(bridge)))
}

fn name_of(link: &LinkMessage) -> String {
    let name = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    });
    name.unwrap_or_else(|| link.header.index.to_string())
}
