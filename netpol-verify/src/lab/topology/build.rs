//! The steps of building: namespaces first and all at once, then the nodes, then the pods node by node.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::mpsc,
    thread,
};

use futures_util::future::try_join_all;

use super::{BuiltNode, BuiltPod, NodeNumber, Overlay, TopologyError, VirtualCluster, Wiring};
use crate::{
    cluster::{ObjectName, Pod},
    lab::{
        ClusterId, Netns, NetnsError,
        naming::{host_interface, pod_role},
        wiring::{
            BridgeKind, Wired, WiringError, bridge, fabric,
            link::Links,
            overlay,
            plugin::{self, PluginWiring},
            routed, sysctl,
        },
    },
};

/// The role of the namespace between the nodes.
pub(super) const FABRIC_ROLE: &str = "fabric";

/// Where a pod goes.
#[derive(Clone, Debug)]
pub(super) struct PodSite {
    name: ObjectName,
    node: NodeNumber,
    host_network: bool,
    /// The addresses that it asks for.
    wanted: Vec<IpAddr>,
}

impl PodSite {
    pub(super) fn of(pod: &Pod, node: NodeNumber) -> Self {
        Self {
            name: pod.name.clone(),
            node,
            host_network: pod.host_network,
            wanted: pod.ips.clone(),
        }
    }
}

/// Everything a pod's wiring needs to know of the cluster, without borrowing it.
#[derive(Clone, Debug)]
struct Site {
    pod: PodSite,
    netns: Netns,
    node_netns: Netns,
    /// What the lab gives it; the plugins give their own.
    addresses: (Ipv4Addr, Ipv6Addr),
}

const fn bridge_kind(overlay: Overlay) -> BridgeKind {
    match overlay {
        Overlay::Vxlan => BridgeKind::FLANNEL,
        Overlay::HostGateway => BridgeKind::KUBENET,
    }
}

/// Makes many namespaces at once: each takes the kernel a millisecond or more.
fn create_all(names: &[String]) -> Result<Vec<Netns>, NetnsError> {
    thread::scope(|scope| {
        let threads: Vec<_> = names
            .iter()
            .map(|name| (name, scope.spawn(|| Netns::create(name))))
            .collect();
        let died = |name: &String| NetnsError::Work {
            name: name.clone(),
            why: "its thread panicked".to_owned(),
        };
        // Every thread is joined before the first failure is looked at.
        let made: Vec<_> = threads
            .into_iter()
            .map(|(name, thread)| thread.join().unwrap_or_else(|_| Err(died(name))))
            .collect();
        made.into_iter().collect()
    })
}

fn built_node(number: NodeNumber, netns: Netns) -> BuiltNode {
    let addresses = vec![IpAddr::V4(number.v4()), IpAddr::V6(number.v6())];
    BuiltNode {
        name: number.name(),
        netns,
        addresses,
    }
}

/// A node that another process built.
pub(super) fn open_node(id: ClusterId, number: NodeNumber) -> Result<BuiltNode, NetnsError> {
    Ok(built_node(number, Netns::open(&id.namespace(&number.name()))?))
}

/// Makes the nodes, the fabric between them, and their ways to each other's pods.
pub(super) async fn nodes(cluster: &mut VirtualCluster, numbers: &[NodeNumber]) -> Result<(), TopologyError> {
    let names: Vec<_> = numbers
        .iter()
        .map(|number| cluster.id.namespace(&number.name()))
        .collect();
    let made = create_all(&names)?;
    cluster.nodes = numbers
        .iter()
        .zip(made)
        .map(|(number, netns)| built_node(*number, netns))
        .collect();

    fabric::prepare(&cluster.fabric).await?;
    let (fabric, wiring, own) = (&cluster.fabric, cluster.wiring, cluster.plugins.is_none());
    let joined = cluster
        .nodes
        .iter()
        .zip(numbers)
        .map(|(node, number)| async move {
            fabric::join(fabric, &node.netns, *number).await?;
            let others: Vec<_> = numbers.iter().copied().filter(|other| other != number).collect();
            match wiring {
                Wiring::Bridge { overlay } => {
                    overlay::connect(overlay, &node.netns, *number, &others).await?;
                    if own {
                        bridge::prepare(bridge_kind(overlay), &node.netns, *number).await?;
                    }
                    Ok(())
                }
                Wiring::Routed => overlay::by_routes(&node.netns, &others).await,
            }
        });
    try_join_all(joined)
        .await
        .map(drop)
        .map_err(|error: WiringError| error.into())
}

/// Makes pods and wires them: nodes side by side, the pods of a node one after the other.
pub(super) async fn pods(cluster: &mut VirtualCluster, sites: Vec<PodSite>) -> Result<(), TopologyError> {
    let own: Vec<_> = sites.iter().filter(|site| !site.host_network).cloned().collect();
    let names: Vec<_> = own
        .iter()
        .map(|site| cluster.id.namespace(&pod_role(&site.name)))
        .collect();
    let made = create_all(&names)?;
    let mut taken: Vec<IpAddr> = cluster
        .pods
        .iter()
        .flat_map(|pod| pod.addresses.clone())
        .collect();
    let mut by_node: Vec<Vec<Site>> = cluster.nodes.iter().map(|_| Vec::new()).collect();
    // Whoever asks for an address comes before those that take any.
    let mut asked: Vec<Option<(Ipv4Addr, Ipv6Addr)>> = Vec::with_capacity(own.len());
    for pod in &own {
        let pair = pod
            .node
            .wanted(&pod.wanted)
            .filter(|(v4, v6)| !taken.contains(&IpAddr::V4(*v4)) && !taken.contains(&IpAddr::V6(*v6)));
        taken.extend(
            pair.iter()
                .flat_map(|(v4, v6)| [IpAddr::V4(*v4), IpAddr::V6(*v6)]),
        );
        asked.push(pair);
    }
    for ((pod, netns), pair) in own.into_iter().zip(made).zip(asked) {
        let full = || TopologyError::Full {
            pod: pod.name.clone(),
            node: pod.node.name(),
        };
        let (v4, v6) = pair.or_else(|| pod.node.free(&taken)).ok_or_else(full)?;
        taken.extend([IpAddr::V4(v4), IpAddr::V6(v6)]);
        let position = usize::from(pod.node.get()) - 1;
        if let (Some(node), Some(queue)) = (cluster.nodes.get(position), by_node.get_mut(position)) {
            queue.push(Site {
                pod,
                netns,
                node_netns: node.netns.clone(),
                addresses: (v4, v6),
            });
        }
    }
    let (wiring, plugins) = (cluster.wiring, cluster.plugins.as_ref());
    let wired = by_node
        .into_iter()
        .map(|queue| wire_queue(wiring, plugins, queue));
    let mut built: Vec<BuiltPod> = try_join_all(wired).await?.into_iter().flatten().collect();
    built.extend(
        sites
            .iter()
            .filter(|site| site.host_network)
            .filter_map(|site| in_host_network(cluster, site)),
    );
    // Back in the order they came.
    let order = |pod: &BuiltPod| sites.iter().position(|site| site.name == pod.name);
    built.sort_by_key(order);
    cluster.pods.extend(built);
    Ok(())
}

fn in_host_network(cluster: &VirtualCluster, site: &PodSite) -> Option<BuiltPod> {
    cluster.node(&site.node.name()).map(|node| BuiltPod {
        name: site.name.clone(),
        node: node.name.clone(),
        netns: node.netns.clone(),
        host_interface: String::new(),
        addresses: node.addresses.clone(),
        host_network: true,
    })
}

async fn wire_queue(
    wiring: Wiring,
    plugins: Option<&PluginWiring>,
    queue: Vec<Site>,
) -> Result<Vec<BuiltPod>, TopologyError> {
    let mut built = Vec::with_capacity(queue.len());
    for site in queue {
        sysctl::prepare_host(&site.netns)?;
        let wired = wire(wiring, plugins, &site).await?;
        built.push(BuiltPod {
            name: site.pod.name,
            node: site.pod.node.name(),
            netns: site.netns,
            host_interface: wired.host_interface,
            addresses: wired.addresses,
            host_network: false,
        });
    }
    Ok(built)
}

async fn wire(wiring: Wiring, plugins: Option<&PluginWiring>, site: &Site) -> Result<Wired, WiringError> {
    let Site {
        pod,
        netns,
        node_netns,
        addresses,
    } = site;
    match (wiring, plugins) {
        (Wiring::Bridge { overlay }, Some(plugins)) => {
            let kind = bridge_kind(overlay);
            Links::new(netns)?.up("lo").await?;
            let (plugins, inside, outside, node) =
                (plugins.clone(), netns.clone(), node_netns.clone(), pod.node);
            blocking(netns, move || plugins.add_pod(kind, &outside, node, &inside)).await
        }
        (Wiring::Bridge { overlay }, None) => {
            let interface = plugin::own_interface(&pod.name);
            bridge::add_pod(
                bridge_kind(overlay),
                node_netns,
                pod.node,
                netns,
                interface,
                *addresses,
            )
            .await
        }
        (Wiring::Routed, _) => {
            routed::add_pod(node_netns, netns, host_interface("cali", &pod.name), *addresses).await
        }
    }
}

/// A plugin takes its tens of milliseconds away from the runtime's workers. Whoever gives up waiting waits all the same:
/// a plugin at work while its cluster is removed would leave behind what it makes.
async fn blocking<T: Send + 'static>(
    netns: &Netns,
    work: impl FnOnce() -> Result<T, WiringError> + Send + 'static,
) -> Result<T, WiringError> {
    let died = |why: tokio::task::JoinError| NetnsError::Work {
        name: netns.name().to_owned(),
        why: why.to_string(),
    };
    let (over, ended) = mpsc::channel::<()>();
    let _ended = Ended(ended);
    let work = move || {
        let _over = over;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(died)?
}

/// Waits, when dropped, until the other end is dropped.
struct Ended(mpsc::Receiver<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.recv();
    }
}

/// Takes a pod's link and namespace away.
pub(super) async fn unwire(cluster: &VirtualCluster, pod: &BuiltPod) -> Result<(), TopologyError> {
    if pod.host_network {
        return Ok(());
    }
    if let (Some(plugins), Wiring::Bridge { overlay }) = (&cluster.plugins, cluster.wiring)
        && let (Some(node), Some(number)) = (cluster.node(&pod.node), NodeNumber::from_name(&pod.node))
    {
        let (plugins, outside, inside) = (plugins.clone(), node.netns.clone(), pod.netns.clone());
        let gone = move || plugins.remove_pod(bridge_kind(overlay), &outside, number, &inside);
        blocking(&pod.netns, gone).await?;
    } else if let Some(node) = cluster.node(&pod.node) {
        // The kernel frees a namespace some time after its last user; the link goes now, and with it the pod's routes.
        Links::new(&node.netns)?.remove(&pod.host_interface).await?;
    }
    Ok(Netns::remove(pod.netns.name())?)
}

/// Takes away what a pod that could not be wired left.
pub(super) async fn discard(cluster: &VirtualCluster, site: &PodSite) {
    let name = cluster.id.namespace(&pod_role(&site.name));
    let Ok(netns) = Netns::open(&name) else { return };
    let half = BuiltPod {
        name: site.name.clone(),
        node: site.node.name(),
        netns,
        host_interface: match cluster.wiring {
            Wiring::Bridge { .. } => plugin::own_interface(&site.name),
            Wiring::Routed => host_interface("cali", &site.name),
        },
        addresses: Vec::new(),
        host_network: site.host_network,
    };
    if let Err(error) = unwire(cluster, &half).await {
        tracing::warn!(pod = %site.name, %error, "A pod that could not be wired was not removed whole.");
        let _ = Netns::remove(&name);
    }
}
