//! The network between the nodes: a bridge in a namespace of its own, with a link to each node.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rtnetlink::LinkBridge;

use super::{
    WiringError,
    link::{Links, Veth, Via},
    sysctl,
};
use crate::lab::{
    Netns,
    topology::{FABRIC, NodeNumber},
};

/// Ethernet's usual.
const MTU: u32 = 1500;

/// Makes the fabric's bridge. Its addresses are the nodes' default gateways, and it does not forward: what leaves the
/// cluster ends here, and a node has the default route that proxy ARP asks for.
pub(crate) async fn prepare(netns: &Netns) -> Result<(), WiringError> {
    sysctl::prepare_host(netns)?;
    let links = Links::new(netns)?;
    links.up("lo").await?;
    let bridge = links.add("br0", LinkBridge::new("br0").build()).await?;
    let (v4, v6) = FABRIC;
    links.add_address(bridge, IpAddr::V4(v4), 24).await?;
    links.add_address(bridge, IpAddr::V6(v6), 64).await
}

/// Hangs a namespace on the fabric's bridge by a port of that name; its links, and the one to the fabric, which is up.
pub(super) async fn plug(fabric: &Netns, port: &str, netns: &Netns) -> Result<(Links, u32), WiringError> {
    let fabric_links = Links::new(fabric)?;
    let bridge = fabric_links.index("br0").await?;
    let index = fabric_links
        .add_veth(Veth {
            name: port,
            mac: None,
            peer: netns,
            peer_mac: None,
            mtu: MTU,
        })
        .await?;
    let attach = rtnetlink::LinkUnspec::new_with_index(index)
        .controller(bridge)
        .build();
    fabric_links.set(port, attach).await?;

    let links = Links::new(netns)?;
    links.up("lo").await?;
    let eth0 = links.up("eth0").await?;
    Ok((links, eth0))
}

/// Links a node to the fabric.
pub(crate) async fn join(fabric: &Netns, node: &Netns, number: NodeNumber) -> Result<(), WiringError> {
    sysctl::prepare_node(node)?;
    let (links, eth0) = plug(fabric, &format!("n{}", number.get()), node).await?;
    links.add_address(eth0, IpAddr::V4(number.v4()), 24).await?;
    links.add_address(eth0, IpAddr::V6(number.v6()), 64).await?;
    let (v4, v6) = FABRIC;
    links
        .add_route(eth0, IpNet::V4(Ipv4Net::default()), Via::Gateway(IpAddr::V4(v4)))
        .await?;
    links
        .add_route(eth0, IpNet::V6(Ipv6Net::default()), Via::Gateway(IpAddr::V6(v6)))
        .await
}
