//! From one node's pods to another's: inside VXLAN, or by a route through the other node.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::LinkVxlan;

use super::{
    WiringError,
    link::{Links, Via},
};
use crate::lab::{
    Netns,
    topology::{NodeNumber, Overlay, pod_networks},
};

/// Flannel's network identifier.
const VNI: u32 = 1;
/// Linux' own VXLAN port from before IANA's 4789; Flannel keeps it.
const PORT: u16 = 8472;
/// A VXLAN header over IPv6 takes 70 bytes of the fabric's 1,500.
const MTU: u32 = 1430;

/// Gives a node the way to all other nodes' pods.
pub(crate) async fn connect(
    overlay: Overlay,
    netns: &Netns,
    node: NodeNumber,
    others: &[NodeNumber],
) -> Result<(), WiringError> {
    match overlay {
        Overlay::HostGateway => by_routes(netns, others).await,
        Overlay::Vxlan => by_vxlan(netns, node, others).await,
    }
}

/// A route to each other node's pods through that node.
pub(crate) async fn by_routes(netns: &Netns, others: &[NodeNumber]) -> Result<(), WiringError> {
    let links = Links::new(netns)?;
    let eth0 = links.index("eth0").await?;
    for other in others {
        let [pods_v4, pods_v6] = pod_networks(*other);
        links
            .add_route(eth0, pods_v4, Via::Gateway(IpAddr::V4(other.v4())))
            .await?;
        links
            .add_route(eth0, pods_v6, Via::Gateway(IpAddr::V6(other.v6())))
            .await?;
    }
    Ok(())
}

/// `flannel.1` and `flannel-v6.1`, with a tunnel end, a neighbour and a route for each other node (flannel at
/// 067ed7f, `pkg/backend/vxlan/vxlan_network.go`); nothing is learned from packets.
async fn by_vxlan(netns: &Netns, node: NodeNumber, others: &[NodeNumber]) -> Result<(), WiringError> {
    let links = Links::new(netns)?;
    let eth0 = links.index("eth0").await?;
    let device = |name| {
        LinkVxlan::new(name, VNI)
            .dev(eth0)
            .port(PORT)
            .learning(false)
            .mtu(MTU)
    };

    let link = device("flannel.1")
        .local(node.v4())
        .address(mac_v4(node).to_vec())
        .up()
        .build();
    let v4 = links.add("flannel.1", link).await?;
    links.add_address(v4, IpAddr::V4(end_v4(node)), 32).await?;
    let link = device("flannel-v6.1")
        .local6(node.v6())
        .address(mac_v6(node).to_vec())
        .up()
        .build();
    let v6 = links.add("flannel-v6.1", link).await?;
    links.add_address(v6, IpAddr::V6(end_v6(node)), 128).await?;

    for other in others {
        let ends = [
            (
                v4,
                IpAddr::V4(end_v4(*other)),
                mac_v4(*other),
                IpAddr::V4(other.v4()),
                IpNet::V4(other.pods_v4()),
            ),
            (
                v6,
                IpAddr::V6(end_v6(*other)),
                mac_v6(*other),
                IpAddr::V6(other.v6()),
                IpNet::V6(other.pods_v6()),
            ),
        ];
        for (index, end, mac, address, pods) in ends {
            links.add_tunnel_end(index, mac, address).await?;
            links.add_neighbour(index, end, mac).await?;
            links.add_route(index, pods, Via::OnLink(end)).await?;
        }
    }
    Ok(())
}

/// Flannel gives a tunnel device the network's own address.
fn end_v4(node: NodeNumber) -> Ipv4Addr {
    node.pods_v4().network()
}

fn end_v6(node: NodeNumber) -> Ipv6Addr {
    node.pods_v6().network()
}

/// Hardware addresses of our choice (locally administered), so that no node has to ask another.
const fn mac_v4(node: NodeNumber) -> [u8; 6] {
    [0x0a, 0x58, 10, 244, node.get(), 0]
}

const fn mac_v6(node: NodeNumber) -> [u8; 6] {
    [0x0a, 0x58, 0xfd, 0x02, node.get(), 0]
}
