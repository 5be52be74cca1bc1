//! The namespaces of the lab's pods and nodes, in which real sockets are opened.

use std::net::IpAddr;

use super::{answer::Place, ground};
use crate::{
    finding::Path,
    lab::{
        Netns,
        proxy::Proxy,
        topology::{BuiltNode, BuiltPod, VirtualCluster},
    },
    net::Family,
};

/// Where sockets can be opened.
#[derive(Clone, Debug)]
pub struct Sockets {
    pods: Vec<BuiltPod>,
    nodes: Vec<BuiltNode>,
    services: bool,
}

/// A client and a server, over one of the server's addresses.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) place: Place,
    pub(super) client: Netns,
    pub(super) server: Netns,
    pub(super) address: IpAddr,
}

impl Sockets {
    /// Those of a virtual cluster as it is now.
    #[must_use]
    pub fn of(cluster: &VirtualCluster) -> Self {
        Self {
            pods: cluster.pods.clone(),
            nodes: cluster.nodes.clone(),
            services: Proxy::is_possible(),
        }
    }

    /// How many nodes there are.
    pub(super) const fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Whether Services are translated.
    pub(super) const fn services(&self) -> bool {
        self.services
    }

    fn pod(&self, name: &str) -> Option<&BuiltPod> {
        let is_meant = |pod: &&BuiltPod| pod.name.to_string() == name;
        self.pods.iter().find(is_meant)
    }

    /// The server, with each of its addresses.
    fn server(&self) -> impl Iterator<Item = (&BuiltPod, IpAddr)> {
        let server = self.pod(ground::SERVER).into_iter();
        server.flat_map(|pod| pod.addresses.iter().map(move |address| (pod, *address)))
    }

    /// Each client with the server, in each family.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        let clients = ground::CLIENTS.iter().filter_map(|name| self.pod(name));
        let pairs = clients.flat_map(|client| {
            self.server().map(|(server, address)| Pair {
                place: Place {
                    family: Family::of(address),
                    path: path(client.node == server.node),
                },
                client: client.netns.clone(),
                server: server.netns.clone(),
                address,
            })
        });
        pairs.collect()
    }

    /// The server as its own client.
    pub(super) fn itself(&self) -> Vec<Pair> {
        let own = self.server().map(|(server, address)| Pair {
            place: Place {
                family: Family::of(address),
                path: Path::SameNode,
            },
            client: server.netns.clone(),
            server: server.netns.clone(),
            address,
        });
        own.collect()
    }

    /// The server's own node as its client, or each of the others.
    pub(super) fn by_nodes(&self, own: bool) -> Vec<Pair> {
        let pairs = self.server().flat_map(|(server, address)| {
            let nodes = self.nodes.iter();
            let meant = nodes.filter(move |node| (node.name == server.node) == own);
            meant.map(move |node| Pair {
                place: Place {
                    family: Family::of(address),
                    path: path(own),
                },
                client: node.netns.clone(),
                server: server.netns.clone(),
                address,
            })
        });
        pairs.collect()
    }

    /// The client on the server's node, with each address of that node.
    pub(super) fn to_own_node(&self) -> Vec<Pair> {
        let Some(server) = self.pod(ground::SERVER) else {
            return Vec::new();
        };
        let mut clients = ground::CLIENTS.iter().filter_map(|name| self.pod(name));
        let near = clients.find(|client| client.node == server.node);
        let node = self.nodes.iter().find(|node| node.name == server.node);
        let pairs = near.zip(node).map(|(client, node)| {
            let addresses = node.addresses.iter();
            addresses.map(|address| Pair {
                place: Place {
                    family: Family::of(*address),
                    path: Path::SameNode,
                },
                client: client.netns.clone(),
                server: node.netns.clone(),
                address: *address,
            })
        });
        pairs.into_iter().flatten().collect()
    }

    /// The name of the server's node.
    pub(super) fn own_node(&self) -> &str {
        self.pod(ground::SERVER).map_or("", |pod| &pod.node)
    }
}

const fn path(is_same_node: bool) -> Path {
    if is_same_node {
        Path::SameNode
    } else {
        Path::CrossNode
    }
}
