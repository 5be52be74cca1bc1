//! No bridge: each pod has a /32 and a /128, a gateway that is nobody's, and a host route on its node, as Calico does it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    Wired, WiringError,
    link::{Links, Veth, Via},
    sysctl,
};
use crate::lab::Netns;

/// The gateway every pod has; the node answers for it by proxy ARP.
const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The hardware address of every node's end.
const GATEWAY_MAC: [u8; 6] = [0xee; 6];
/// The link-local address that the kernel makes of it (EUI-64).
const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0xecee, 0xeeff, 0xfeee, 0xeeee);

/// Links a pod to its node.
pub(crate) async fn add_pod(
    netns: &Netns,
    pod: &Netns,
    host_interface: String,
    (v4, v6): (Ipv4Addr, Ipv6Addr),
) -> Result<Wired, WiringError> {
    let links = Links::new(netns)?;
    let veth = Veth {
        name: &host_interface,
        mac: Some(GATEWAY_MAC),
        peer: pod,
        peer_mac: None,
        mtu: 1500,
    };
    let index = links.add_veth(veth).await?;
    sysctl::answer_for_gateway(netns, &host_interface)?;
    let host_v4 = IpNet::V4(Ipv4Net::from(v4));
    let host_v6 = IpNet::V6(Ipv6Net::from(v6));
    links.add_route(index, host_v4, Via::Link).await?;
    links.add_route(index, host_v6, Via::Link).await?;

    let pod_links = Links::new(pod)?;
    pod_links.up("lo").await?;
    let eth0 = pod_links.up("eth0").await?;
    pod_links.add_address(eth0, IpAddr::V4(v4), 32).await?;
    pod_links.add_address(eth0, IpAddr::V6(v6), 128).await?;
    pod_links
        .add_route(eth0, IpNet::V4(Ipv4Net::from(GATEWAY_V4)), Via::Link)
        .await?;
    pod_links
        .add_route(
            eth0,
            IpNet::V4(Ipv4Net::default()),
            Via::Gateway(IpAddr::V4(GATEWAY_V4)),
        )
        .await?;
    pod_links
        .add_route(
            eth0,
            IpNet::V6(Ipv6Net::default()),
            Via::Gateway(IpAddr::V6(GATEWAY_V6)),
        )
        .await?;
    Ok(Wired {
        host_interface,
        addresses: vec![IpAddr::V4(v4), IpAddr::V6(v6)],
    })
}
