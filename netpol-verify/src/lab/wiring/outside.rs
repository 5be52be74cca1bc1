//! Somebody outside the cluster: a namespace of its own on the fabric, as a client or a server beyond the nodes.

use std::net::IpAddr;

use super::{
    WiringError,
    link::{Links, Veth, Via},
    sysctl,
};
use crate::lab::{
    Netns,
    topology::{NodeNumber, OUTSIDE, pod_networks},
};

/// Ethernet's usual.
const MTU: u32 = 1500;

/// Links a namespace to the fabric. It knows the way to each node's pods, so that nothing need be translated.
pub(crate) async fn join(fabric: &Netns, outside: &Netns, nodes: &[NodeNumber]) -> Result<(), WiringError> {
    sysctl::prepare_host(outside)?;
    let fabric_links = Links::new(fabric)?;
    let bridge = fabric_links.index("br0").await?;
    let index = fabric_links
        .add_veth(Veth {
            name: "outside",
            mac: None,
            peer: outside,
            peer_mac: None,
            mtu: MTU,
        })
        .await?;
    let attach = rtnetlink::LinkUnspec::new_with_index(index)
        .controller(bridge)
        .build();
    fabric_links.set("outside", attach).await?;

    let links = Links::new(outside)?;
    links.up("lo").await?;
    let eth0 = links.up("eth0").await?;
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
