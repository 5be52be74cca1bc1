//! Netlink requests inside one namespace, each with words for its failure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use futures_util::TryStreamExt;
use ipnet::IpNet;
use netlink_packet_route::{
    address::{AddressAttribute, AddressHeaderFlags},
    link::{InfoData, InfoVeth, LinkMessage},
    neighbour::NeighbourFlags,
    route::{RouteMessage, RouteScope},
};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};

use super::WiringError;
use crate::lab::Netns;

/// A netlink handle and the namespace it works in.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    netns: Netns,
    handle: rtnetlink::Handle,
}

/// A veth pair to be; hardware addresses are random where none is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Veth<'a> {
    /// This end's name.
    pub(crate) name: &'a str,
    /// This end's hardware address.
    pub(crate) mac: Option<[u8; 6]>,
    /// The namespace of the other end.
    pub(crate) peer: &'a Netns,
    /// The other end's hardware address.
    pub(crate) peer_mac: Option<[u8; 6]>,
    /// The MTU of both.
    pub(crate) mtu: u32,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Via {
    /// Straight to the interface.
    Link,
    /// To a neighbour.
    Gateway(IpAddr),
    /// To a neighbour that no route covers, taken on trust (`onlink`).
    OnLink(IpAddr),
}

impl Links {
    /// A handle for that namespace.
    pub(crate) fn new(netns: &Netns) -> Result<Self, WiringError> {
        Ok(Self {
            netns: netns.clone(),
            handle: netns.netlink()?,
        })
    }

    /// The handle, for requests that have no method here.
    pub(crate) fn handle(&self) -> &rtnetlink::Handle {
        &self.handle
    }

    /// Says what failed.
    pub(crate) fn failed(&self, step: impl Into<String>) -> impl FnOnce(rtnetlink::Error) -> WiringError {
        let (netns, step) = (self.netns.name().to_owned(), step.into());
        move |source| WiringError::Netlink { netns, step, source }
    }

    /// The number of an interface.
    pub(crate) async fn index(&self, name: &str) -> Result<u32, WiringError> {
        let found = self
            .handle
            .link()
            .get()
            .match_name(name)
            .execute()
            .try_next()
            .await;
        match found.map_err(self.failed(format!("find the interface {name}")))? {
            Some(link) => Ok(link.header.index),
            None => Err(WiringError::NoInterface {
                netns: self.netns.name().to_owned(),
                interface: name.to_owned(),
            }),
        }
    }

    /// Adds a link and gives its number.
    pub(crate) async fn add(&self, name: &str, link: LinkMessage) -> Result<u32, WiringError> {
        let added = self.handle.link().add(link).execute().await;
        added.map_err(self.failed(format!("add the interface {name}")))?;
        self.index(name).await
    }

    /// Changes a link.
    pub(crate) async fn set(&self, name: &str, link: LinkMessage) -> Result<(), WiringError> {
        let changed = self.handle.link().set(link).execute().await;
        changed.map_err(self.failed(format!("change the interface {name}")))
    }

    /// Removes a link; one that is gone already is no error.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), WiringError> {
        let Ok(index) = self.index(name).await else {
            return Ok(());
        };
        let removed = self.handle.link().del(index).execute().await;
        removed.map_err(self.failed(format!("remove the interface {name}")))
    }

    /// Brings an interface up and gives its number.
    pub(crate) async fn up(&self, name: &str) -> Result<u32, WiringError> {
        let index = self.index(name).await?;
        self.set(name, LinkUnspec::new_with_index(index).up().build())
            .await?;
        Ok(index)
    }

    /// Adds a veth pair: this end up, and the other, `eth0` in its namespace, down, for the kernel makes that one first and
    /// refuses to open it while it has no peer (Linux 6.18, `drivers/net/veth.c`, `veth_open`). Gives the number of this end.
    pub(crate) async fn add_veth(&self, veth: Veth<'_>) -> Result<u32, WiringError> {
        let Veth {
            name,
            mac,
            peer,
            peer_mac,
            mtu,
        } = veth;
        let mut there = LinkMessageBuilder::<LinkUnspec>::new().name("eth0").mtu(mtu);
        there = there.setns_by_fd(peer.file().as_raw_fd());
        if let Some(mac) = peer_mac {
            there = there.address(mac.to_vec());
        }
        let mut here = LinkVeth::new(name, "eth0").mtu(mtu).up();
        here = here.set_info_data(InfoData::Veth(InfoVeth::Peer(there.build())));
        if let Some(mac) = mac {
            here = here.address(mac.to_vec());
        }
        self.add(name, here.build()).await
    }

    /// Adds an address, usable at once.
    pub(crate) async fn add_address(
        &self,
        index: u32,
        address: IpAddr,
        length: u8,
    ) -> Result<(), WiringError> {
        let mut request = self.handle.address().add(index, address, length);
        if address.is_ipv6() {
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        }
        let added = request.execute().await;
        added.map_err(self.failed(format!("add the address {address}/{length} to interface {index}")))
    }

    /// Adds a route.
    pub(crate) async fn add_route(&self, index: u32, to: IpNet, via: Via) -> Result<(), WiringError> {
        let message = match (to, via) {
            (IpNet::V4(net), via) => {
                let base = RouteMessageBuilder::<Ipv4Addr>::new()
                    .destination_prefix(net.network(), net.prefix_len())
                    .output_interface(index);
                match via {
                    Via::Gateway(IpAddr::V4(gateway)) => base.gateway(gateway),
                    Via::OnLink(IpAddr::V4(gateway)) => base.gateway(gateway).onlink(),
                    Via::Link | Via::Gateway(_) | Via::OnLink(_) => base.scope(RouteScope::Link),
                }
                .build()
            }
            (IpNet::V6(net), via) => {
                let base = RouteMessageBuilder::<Ipv6Addr>::new()
                    .destination_prefix(net.network(), net.prefix_len())
                    .output_interface(index);
                match via {
                    Via::Gateway(IpAddr::V6(gateway)) => base.gateway(gateway),
                    Via::OnLink(IpAddr::V6(gateway)) => base.gateway(gateway).onlink(),
                    Via::Link | Via::Gateway(_) | Via::OnLink(_) => base,
                }
                .build()
            }
        };
        self.route(message, to).await
    }

    async fn route(&self, message: RouteMessage, to: IpNet) -> Result<(), WiringError> {
        let added = self.handle.route().add(message).execute().await;
        added.map_err(self.failed(format!("add the route to {to}")))
    }

    /// Adds a neighbour for good.
    pub(crate) async fn add_neighbour(
        &self,
        index: u32,
        address: IpAddr,
        mac: [u8; 6],
    ) -> Result<(), WiringError> {
        let added = self
            .handle
            .neighbours()
            .add(index, address)
            .link_layer_address(&mac)
            .replace()
            .execute()
            .await;
        added.map_err(self.failed(format!("add the neighbour {address}")))
    }

    /// Tells a VXLAN device behind which node a hardware address is.
    pub(crate) async fn add_tunnel_end(
        &self,
        index: u32,
        mac: [u8; 6],
        node: IpAddr,
    ) -> Result<(), WiringError> {
        let request = self
            .handle
            .neighbours()
            .add_bridge(index, &mac)
            .destination(node)
            .flags(NeighbourFlags::Own);
        request
            .replace()
            .execute()
            .await
            .map_err(self.failed(format!("add the tunnel end {node}")))
    }

    /// The IPv6 addresses that are not usable yet, or for good.
    pub(crate) async fn unusable_addresses(&self) -> Result<Vec<IpAddr>, WiringError> {
        let addresses: Vec<_> = self
            .handle
            .address()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(self.failed("list addresses"))?;
        let not_yet = AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed;
        Ok(addresses
            .into_iter()
            .filter(|message| message.header.flags.intersects(not_yet))
            .filter_map(|message| {
                message
                    .attributes
                    .into_iter()
                    .find_map(|attribute| match attribute {
                        AddressAttribute::Address(address) => Some(address),
                        _ => None,
                    })
            })
            .collect())
    }
}
