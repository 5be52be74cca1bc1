//! A bridge on each node with its pods as ports, made without the CNI plugins but as they make it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rtnetlink::{LinkBridge, LinkBridgePort, LinkUnspec};

use super::{
    BridgeKind, Wired, WiringError,
    link::{Links, Veth, Via},
};
use crate::lab::{Netns, topology::NodeNumber};

/// Makes the node's bridge with the gateway addresses of its pods.
pub(crate) async fn prepare(kind: BridgeKind, netns: &Netns, node: NodeNumber) -> Result<(), WiringError> {
    let links = Links::new(netns)?;
    let (v4, v6) = node.host(1);
    // A fixed hardware address: a bridge without one takes its ports' lowest and changes under its neighbours.
    let link = LinkBridge::new(kind.name)
        .mtu(kind.mtu)
        .address(mac_of(v4).to_vec());
    let bridge = links.add(kind.name, link.build()).await?;
    links.add_address(bridge, IpAddr::V4(v4), 24).await?;
    links.add_address(bridge, IpAddr::V6(v6), 64).await
}

/// Hangs a pod on the node's bridge.
pub(crate) async fn add_pod(
    kind: BridgeKind,
    netns: &Netns,
    node: NodeNumber,
    pod: &Netns,
    host_interface: String,
    (v4, v6): (Ipv4Addr, Ipv6Addr),
) -> Result<Wired, WiringError> {
    let links = Links::new(netns)?;
    let bridge = links.index(kind.name).await?;
    // A pod that gets a removed one's address gets its hardware address too, so that no neighbour's entry is stale.
    let peer_mac = Some(mac_of(v4));
    let veth = Veth {
        name: &host_interface,
        mac: None,
        peer: pod,
        peer_mac,
        mtu: kind.mtu,
    };
    let index = links.add_veth(veth).await?;
    links
        .set(
            &host_interface,
            LinkUnspec::new_with_index(index).controller(bridge).build(),
        )
        .await?;
    // Hairpin: a pod may reach itself through a Service.
    let port = LinkBridgePort::new(index)
        .set_port_data(netlink_packet_route::link::InfoPortData::BridgePort(vec![]));
    let port = links
        .handle()
        .link()
        .set_port(port.hairpin(true).build())
        .execute()
        .await;
    port.map_err(links.failed(format!("set hairpin mode on {host_interface}")))?;

    let pod_links = Links::new(pod)?;
    pod_links.up("lo").await?;
    let eth0 = pod_links.up("eth0").await?;
    pod_links.add_address(eth0, IpAddr::V4(v4), 24).await?;
    pod_links.add_address(eth0, IpAddr::V6(v6), 64).await?;
    let (gateway_v4, gateway_v6) = node.host(1);
    pod_links
        .add_route(
            eth0,
            IpNet::V4(Ipv4Net::default()),
            Via::Gateway(IpAddr::V4(gateway_v4)),
        )
        .await?;
    pod_links
        .add_route(
            eth0,
            IpNet::V6(Ipv6Net::default()),
            Via::Gateway(IpAddr::V6(gateway_v6)),
        )
        .await?;
    Ok(Wired {
        host_interface,
        addresses: vec![IpAddr::V4(v4), IpAddr::V6(v6)],
    })
}

/// A hardware address made of the IPv4 address, as kubenet and older bridge plugins did (`0a:58`, locally administered).
fn mac_of(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x0a, 0x58, a, b, c, d]
}
