//! Somebody outside the cluster: a namespace of its own on the fabric, as a client or a server beyond the nodes.

use std::net::IpAddr;

use super::{WiringError, fabric, link::Via, sysctl};
use crate::lab::{
    Netns,
    topology::{NodeNumber, OUTSIDE, pod_networks},
};

/// Links a namespace to the fabric. It knows the way to each node's pods, so that nothing need be translated.
pub(crate) async fn join(fabric: &Netns, outside: &Netns, nodes: &[NodeNumber]) -> Result<(), WiringError> {
    sysctl::prepare_host(outside)?;
    let (links, eth0) = fabric::plug(fabric, "outside", outside).await?;
    let (v4, v6) = OUTSIDE;
    links.add_address(eth0, IpAddr::V4(v4), 24).await?;
    links.add_address(eth0, IpAddr::V6(v6), 64).await?;
    for node in nodes {
        for net in pod_networks(*node) {
            let gateway = match net {
                ipnet::IpNet::V4(_) => IpAddr::V4(node.v4()),
                ipnet::IpNet::V6(_) => IpAddr::V6(node.v6()),
            };
            links.add_route(eth0, net, Via::Gateway(gateway)).await?;
        }
    }
    Ok(())
}
