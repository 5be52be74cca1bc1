//! Kernel tests: real namespaces, real packets.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
    process::Command,
    time::Duration,
};

use super::{Overlay, Plan, Plugins, VirtualCluster, Wiring};
use crate::{
    cluster::{ObjectName, Phase, Pod},
    lab::{Netns, RuntimeDir, wiring::plugin},
};

pub(crate) fn pod(namespace: &str, name: &str) -> Pod {
    Pod {
        name: ObjectName::new(namespace, name),
        uid: None,
        labels: BTreeMap::new(),
        node: None,
        ips: Vec::new(),
        host_network: false,
        phase: Phase::Running,
        ports: Vec::new(),
        workload: None,
    }
}

const FLANNEL: Wiring = Wiring::Bridge {
    overlay: Overlay::Vxlan,
};
const KUBENET: Wiring = Wiring::Bridge {
    overlay: Overlay::HostGateway,
};

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("SKIPPED: not root");
    }
    root
}

fn five(wiring: Wiring, plugins: Plugins) -> Plan {
    let names = ["frontend", "backend", "database", "external-client"];
    let mut pods: Vec<_> = names.iter().map(|name| pod("netpol-demo", name)).collect();
    pods.push(pod("kube-system", "kube-dns"));
    Plan {
        plugins,
        ..Plan::new(wiring, pods)
    }
}

/// One datagram there and one back, never repeated. Gives the source address the receiver saw.
fn exchange(from: &Netns, to: &Netns, address: IpAddr) -> IpAddr {
    let any = |address: IpAddr| match address {
        IpAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        IpAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let patient = |socket: UdpSocket| {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    };
    let server = patient(to.run(|| UdpSocket::bind((address, 0)).unwrap()).unwrap());
    let client = patient(from.run(|| UdpSocket::bind(any(address)).unwrap()).unwrap());
    client.send_to(b"there", server.local_addr().unwrap()).unwrap();
    let mut buffer = [0; 16];
    let (length, peer) = server
        .recv_from(&mut buffer)
        .unwrap_or_else(|e| panic!("{} -> {address}: {e}", from.name()));
    assert_eq!(&buffer[..length], b"there");
    server.send_to(b"back", peer).unwrap();
    let (length, _) = client
        .recv_from(&mut buffer)
        .unwrap_or_else(|e| panic!("{address} -> {}: {e}", from.name()));
    assert_eq!(&buffer[..length], b"back");
    peer.ip()
}

/// Every pod reaches every other, once per family, and is seen under its own address.
fn all_reach_all(cluster: &VirtualCluster) {
    for from in &cluster.pods {
        for to in cluster.pods.iter().filter(|to| to.name != from.name) {
            for address in &to.addresses {
                let seen = exchange(&from.netns, &to.netns, *address);
                assert!(
                    from.addresses.contains(&seen),
                    "{} seen as {seen} by {}",
                    from.name,
                    to.name
                );
            }
        }
    }
}

async fn build_and_use(plan: Plan) {
    let temporary = tempfile::tempdir().unwrap();
    let dir = RuntimeDir::at(temporary.path());
    let mut cluster = VirtualCluster::build(&plan, &dir).await.unwrap();
    let prefix = cluster.id().prefix();
    assert_eq!(cluster.nodes.len(), 2);
    assert_eq!(cluster.pods.len(), 5);
    assert_eq!(cluster.pods[0].node, "node1");
    assert_eq!(cluster.pods[1].node, "node2");
    all_reach_all(&cluster);
    for pod in &cluster.pods {
        let node = cluster.node(&pod.node).unwrap();
        let mut command = Command::new("cat");
        command.arg("/proc/thread-self/net/dev");
        let text = String::from_utf8(node.netns.command(command).unwrap().stdout).unwrap();
        assert!(
            text.contains(&format!("{}:", pod.host_interface)),
            "{} not in {text}",
            pod.host_interface
        );
    }

    let gone = cluster.pods[0].clone();
    cluster.remove_pod(&gone.name).await.unwrap();
    assert!(cluster.remove_pod(&gone.name).await.is_err());
    drop(gone);
    let added = cluster
        .add_pod(&pod("other", "late"), None)
        .await
        .unwrap()
        .clone();
    let again = cluster
        .add_pod(&pod("netpol-demo", "frontend"), Some("node2"))
        .await
        .unwrap()
        .clone();
    assert_eq!(again.node, "node2");
    assert_ne!(added.addresses, again.addresses);
    assert!(cluster.add_pod(&pod("other", "late"), None).await.is_err());
    assert!(
        cluster
            .add_pod(&pod("other", "lost"), Some("node9"))
            .await
            .is_err()
    );
    all_reach_all(&cluster);

    cluster.remove().await.unwrap();
    assert_eq!(Netns::list(&prefix).unwrap(), Vec::<String>::new());
    assert_eq!(dir.names().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn routed_pods_reach_each_other_on_both_families() {
    if is_root() {
        build_and_use(five(Wiring::Routed, Plugins::Auto)).await;
    }
}

#[tokio::test]
async fn flannel_by_ourselves_connects_pods_on_both_families() {
    if is_root() {
        build_and_use(five(FLANNEL, Plugins::Never)).await;
    }
}

#[tokio::test]
async fn kubenet_by_ourselves_connects_pods_on_both_families() {
    if is_root() {
        build_and_use(five(KUBENET, Plugins::Never)).await;
    }
}

#[tokio::test]
async fn flannel_by_the_plugins_connects_pods_on_both_families() {
    if !is_root() {
    } else if plugin::installed().is_some() {
        build_and_use(five(FLANNEL, Plugins::Auto)).await;
    } else {
        println!("SKIPPED: the CNI plugins bridge and host-local are not installed");
    }
}

#[tokio::test]
async fn kubenet_by_the_plugins_connects_pods_on_both_families() {
    if !is_root() {
    } else if plugin::installed().is_some() {
        build_and_use(five(KUBENET, Plugins::Auto)).await;
    } else {
        println!("SKIPPED: the CNI plugins bridge and host-local are not installed");
    }
}

#[tokio::test]
async fn flannels_cross_node_packets_travel_inside_vxlan() {
    if !is_root() {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let dir = RuntimeDir::at(temporary.path());
    let cluster = VirtualCluster::build(&five(FLANNEL, Plugins::Never), &dir)
        .await
        .unwrap();
    let sent = |node: &Netns, device: &str| -> u64 {
        let text = node
            .run(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap())
            .unwrap();
        let line = text
            .lines()
            .find(|line| line.trim().starts_with(&format!("{device}:")))
            .unwrap();
        line.split_whitespace().nth(10).unwrap().parse().unwrap()
    };
    let (from, to, near) = (&cluster.pods[0], &cluster.pods[1], &cluster.pods[2]);
    let node = &cluster.nodes[0].netns;
    for (device, address) in [("flannel.1", 0), ("flannel-v6.1", 1)] {
        let before = sent(node, device);
        exchange(&from.netns, &near.netns, near.addresses[address]);
        assert_eq!(
            sent(node, device),
            before,
            "same-node traffic stays on the bridge"
        );
        exchange(&from.netns, &to.netns, to.addresses[address]);
        assert!(sent(node, device) > before, "{device} carried nothing");
    }
    cluster.remove().await.unwrap();
}

#[tokio::test]
async fn a_dropped_cluster_is_removed_and_a_standing_one_is_not() {
    if !is_root() {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let dir = RuntimeDir::at(temporary.path());
    let cluster = VirtualCluster::build(&five(KUBENET, Plugins::Auto), &dir)
        .await
        .unwrap();
    let prefix = cluster.id().prefix();
    drop(cluster);
    assert_eq!(Netns::list(&prefix).unwrap(), Vec::<String>::new());
    assert_eq!(dir.names().unwrap(), Vec::<String>::new());

    let cluster = VirtualCluster::build(&five(FLANNEL, Plugins::Auto), &dir)
        .await
        .unwrap();
    let record = cluster.record();
    let count = cluster.nodes.len() + cluster.pods.len() + 1;
    cluster.leave_standing().unwrap();
    assert_eq!(Netns::list(&record.id.prefix()).unwrap().len(), count);
    let text = serde_json::to_string(&record).unwrap();
    let record = serde_json::from_str(&text).unwrap();
    let mut cluster = VirtualCluster::reopen(&record, &dir).unwrap();
    cluster.add_pod(&pod("other", "late"), None).await.unwrap();
    all_reach_all(&cluster);
    cluster.remove().await.unwrap();
    assert_eq!(Netns::list(&record.id.prefix()).unwrap(), Vec::<String>::new());
    assert_eq!(dir.names().unwrap(), Vec::<String>::new());
    assert!(VirtualCluster::reopen(&record, &dir).is_err());
}

#[tokio::test]
async fn a_pod_in_the_hosts_network_is_its_node() {
    if !is_root() {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let dir = RuntimeDir::at(temporary.path());
    let mut plan = five(Wiring::Routed, Plugins::Auto);
    plan.nodes = 1;
    plan.pods[1].host_network = true;
    let mut cluster = VirtualCluster::build(&plan, &dir).await.unwrap();
    let host = cluster.pods[1].clone();
    assert_eq!(host.addresses, cluster.nodes[0].addresses);
    assert_eq!(host.netns.name(), cluster.nodes[0].netns.name());
    for address in &host.addresses {
        exchange(&cluster.pods[0].netns, &host.netns, *address);
    }
    cluster.remove_pod(&host.name).await.unwrap();
    assert!(Netns::open(cluster.nodes[0].netns.name()).is_ok());
    cluster.remove().await.unwrap();
}
