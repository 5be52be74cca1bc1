//! The rules on a real kernel: loaded, and met by real connections, with every fault.
//!
//! ```text
//!  n1: br0 or routes -- web, api          n2: br0 or routes -- db, job
//!   \------------------- veth, 192.168.9.0/30, fd09::/64 ------------/
//! ```

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};

use super::{AnyEnforcer, Enforcer, EnforcerError, EnforcerSpec, External, command, nftables};
use crate::{
    cluster::{ContainerPort, Namespace, ObjectName, Phase, Place, Pod, Snapshot, SourcedPolicy},
    lab::{
        LabNode, LabPod, World,
        fault::{self, Effect, Fault, Memory, Predicted, Prediction, Question},
        literal::{Party, Reading, generate, permits},
    },
    net::{Family, Protocol},
};

/// Namespaces that are removed when the test ends, whichever way.
pub(super) struct Bed {
    prefix: String,
    names: Vec<String>,
}

impl Drop for Bed {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "delete", name]).status();
        }
    }
}

/// Prints why and returns nothing where namespaces cannot be made.
pub(super) fn bed(tag: &str) -> Option<Bed> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: network namespaces need root");
        return None;
    }
    Some(Bed {
        prefix: format!("npvt{}{tag}", std::process::id()),
        names: Vec::new(),
    })
}

fn sh(script: &str) {
    let done = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(
        done.status.success(),
        "{script}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

impl Bed {
    fn netns(&mut self, name: &str) -> PathBuf {
        let full = format!("{}{name}", self.prefix);
        // Without duplicate address detection: link-local addresses work from the first moment.
        sh(&format!(
            "ip netns add {full}; ip -n {full} link set lo up
             ip netns exec {full} sh -c 'for c in all default; do echo 0 > /proc/sys/net/ipv6/conf/$c/accept_dad; done'"
        ));
        self.names.push(full.clone());
        Path::new("/run/netns").join(full)
    }

    fn node(&mut self, index: usize, bridged: bool) -> LabNode {
        let name = format!("n{index}");
        let netns = self.netns(&name);
        let ns = format!("{}{name}", self.prefix);
        sh(&format!(
            "ip netns exec {ns} sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'"
        ));
        if bridged {
            sh(&format!(
                "ip -n {ns} link add br0 type bridge; ip -n {ns} link set br0 up
                 ip -n {ns} addr add 10.0.{index}.1/24 dev br0; ip -n {ns} addr add fd00:0:0:{index}::1/64 dev br0 nodad"
            ));
        }
        LabNode {
            name,
            netns,
            addresses: vec![
                format!("192.168.9.{index}").parse().unwrap(),
                format!("fd09::{index}").parse().unwrap(),
            ],
            bridge: bridged.then(|| "br0".to_owned()),
        }
    }

    fn pod(&mut self, name: &str, node: usize, last: usize, bridged: bool) -> LabPod {
        let netns = self.netns(name);
        let (ns, pod, host) = (
            format!("{}n{node}", self.prefix),
            format!("{}{name}", self.prefix),
            format!("v{name}"),
        );
        let (v4, v6) = (format!("10.0.{node}.{last}"), format!("fd00:0:0:{node}::{last}"));
        sh(&format!(
            "ip -n {ns} link add {host} type veth peer name eth0 netns {pod}; ip -n {ns} link set {host} up; ip -n {pod} link set eth0 up"
        ));
        sh(&if bridged {
            format!(
                "ip -n {ns} link set {host} master br0
                 ip -n {pod} addr add {v4}/24 dev eth0; ip -n {pod} route add default via 10.0.{node}.1
                 ip -n {pod} addr add {v6}/64 dev eth0 nodad; ip -n {pod} route add default via fd00:0:0:{node}::1"
            )
        } else {
            format!(
                "ip -n {ns} addr replace 169.254.1.1/32 dev lo
                 ip -n {ns} addr add fe80::1/64 dev {host} nodad
                 ip -n {ns} route add {v4}/32 dev {host}; ip -n {ns} route add {v6}/128 dev {host}
                 ip -n {pod} addr add {v4}/32 dev eth0; ip -n {pod} addr add {v6}/128 dev eth0 nodad
                 ip -n {pod} route add 169.254.1.1 dev eth0; ip -n {pod} route add default via 169.254.1.1
                 ip -n {pod} route add default via fe80::1 dev eth0"
            )
        });
        LabPod {
            pod: Pod {
                name: ObjectName::new("demo", name),
                uid: None,
                labels: [("app".to_owned(), name.to_owned())].into(),
                node: Some(format!("n{node}")),
                ips: vec![v4.parse().unwrap(), v6.parse().unwrap()],
                host_network: false,
                phase: Phase::Running,
                ports: vec![ContainerPort {
                    sidecar: false,
                    name: Some("sql".to_owned()),
                    port: if name == "db" { 81 } else { 80 },
                    protocol: Protocol::Tcp,
                }],
                workload: None,
            },
            node: format!("n{node}"),
            netns,
            host_interface: host,
        }
    }
}

/// Policies under which every fault touches something, and each denial occurs in every place.
fn policies() -> Vec<SourcedPolicy> {
    let app = |name: &str| serde_json::json!({"matchLabels": {"app": name}});
    let peer = |name: &str| serde_json::json!([{"podSelector": app(name)}]);
    let blocks = serde_json::json!([
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.1.12/32"]}},
        {"ipBlock": {"cidr": "fd00::/32", "except": ["fd00:0:0:1::12/128"]}},
    ]);
    let specs = [
        serde_json::json!({
            "podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]},
            "policyTypes": ["Ingress", "Egress"],
        }),
        serde_json::json!({
            "podSelector": app("api"), "policyTypes": ["Ingress"],
            "ingress": [{"from": peer("web"), "ports": [{"port": 80}]}],
        }),
        serde_json::json!({
            "podSelector": app("web"), "policyTypes": ["Egress"],
            "egress": [{"to": [{"namespaceSelector": {}}], "ports": [{"port": "sql"}]}],
        }),
        serde_json::json!({
            "podSelector": app("api"), "policyTypes": ["Egress"],
            "egress": [{"to": peer("db")}, {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "SCTP"}]}],
        }),
        serde_json::json!({"podSelector": app("db"), "ingress": [{"from": blocks}]}),
        serde_json::json!({"podSelector": app("job"), "ingress": [{"from": peer("db"), "ports": [{"port": 80, "endPort": 90}]}]}),
    ];
    specs
        .iter()
        .enumerate()
        .map(|(index, spec)| SourcedPolicy {
            object: Arc::new(
                serde_json::from_value(
                    serde_json::json!({"metadata": {"name": format!("p{index}"), "namespace": "demo"}, "spec": spec}),
                )
                .unwrap(),
            ),
            place: Place { file: "-".into(), line: 0 },
        })
        .collect()
}

pub(super) fn world(bed: &mut Bed, bridged: bool) -> World {
    let nodes = vec![bed.node(1, bridged), bed.node(2, bridged)];
    let p = bed.prefix.clone();
    sh(&format!(
        "ip -n {p}n1 link add up0 type veth peer name up0 netns {p}n2
         for i in 1 2; do ip -n {p}n$i link set up0 up; ip -n {p}n$i addr add 192.168.9.$i/30 dev up0; ip -n {p}n$i addr add fd09::$i/64 dev up0 nodad; done
         ip -n {p}n1 route add 10.0.2.0/24 via 192.168.9.2; ip -n {p}n1 route add fd00:0:0:2::/64 via fd09::2
         ip -n {p}n2 route add 10.0.1.0/24 via 192.168.9.1; ip -n {p}n2 route add fd00:0:0:1::/64 via fd09::1"
    ));
    let pods: Vec<LabPod> = [("web", 1, 11), ("api", 1, 12), ("db", 2, 13), ("job", 2, 14)]
        .into_iter()
        .map(|(name, node, last)| bed.pod(name, node, last, bridged))
        .collect();
    let snapshot = Snapshot {
        generation: 7,
        namespaces: vec![Namespace {
            name: "demo".to_owned(),
            labels: [].into(),
        }],
        pods: pods.iter().map(|lab| lab.pod.clone()).collect(),
        nodes: Vec::new(),
        policies: policies(),
        ..Snapshot::default()
    };
    World {
        nodes,
        pods,
        snapshot,
    }
}

/// Whether a SYN was let through: accepted, or refused by the pod, where nothing listens.
async fn connects(netns: &Path, to: SocketAddr, limit: Duration) -> bool {
    let tried = command::within(netns, move || TcpStream::connect_timeout(&to, limit))
        .await
        .unwrap();
    match tried {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => true,
        Err(error) if error.kind() == io::ErrorKind::TimedOut => false,
        Err(error) => panic!("{to}: {error}"),
    }
}

/// One attempt that came out otherwise than it should.
type Surprise = (String, String, IpAddr, u16, bool);

/// Opens every connection there is and returns how many the fault touches and what came out wrong.
async fn compare(world: &World, fault: Option<Fault>, limit: Duration) -> (usize, Vec<Surprise>) {
    let mut effects = 0;
    let mut tries = Vec::new();
    for from in &world.pods {
        for to in world.pods.iter().filter(|to| to.pod.name != from.pod.name) {
            for address in &to.pod.ips {
                for port in [80, 81] {
                    let family = Family::of(*address);
                    let own = from
                        .pod
                        .ips
                        .iter()
                        .copied()
                        .find(|own| Family::of(*own) == family)
                        .unwrap();
                    let reading = permits(
                        &world.snapshot,
                        Party::Pod {
                            pod: &from.pod,
                            address: Some(own),
                        },
                        Party::Pod {
                            pod: &to.pod,
                            address: Some(*address),
                        },
                        Protocol::Tcp,
                        port,
                    );
                    let question = Question {
                        from: Some(&from.pod.name),
                        to: Some(&to.pod.name),
                        family,
                        protocol: Protocol::Tcp,
                        port,
                        through: None,
                    };
                    let predicted = Prediction::new(fault, world, &[]).of(&question);
                    effects += usize::from(matches!(predicted, Predicted::Wrong(_)));
                    let open = match predicted {
                        Predicted::Open | Predicted::Right => reading == Reading::Permitted,
                        Predicted::Wrong(Effect::Leak | Effect::LeakOnRetransmission { .. }) => true,
                        Predicted::Wrong(Effect::Overblock | Effect::ReplyLost) => false,
                    };
                    tries.push(async move {
                        let seen = connects(&from.netns, SocketAddr::new(*address, port), limit).await;
                        (seen != open).then(|| {
                            (
                                from.pod.name.to_string(),
                                to.pod.name.to_string(),
                                *address,
                                port,
                                seen,
                            )
                        })
                    });
                }
            }
        }
    }
    (effects, join_all(tries).await.into_iter().flatten().collect())
}

fn named(id: &str) -> Fault {
    id.parse().unwrap()
}

/// Faults that real connections between a few pods show; the whole catalogue is held to packets in `tests/tests/it/lab_faults.rs`.
const WIDELY_SEEN: [&str; 12] = [
    "no-engine",
    "egress-unsupported",
    "same-node-only",
    "one-node-engine-dead",
    "retransmitted-syn-accepted",
    "except-ignored",
    "other-family-open",
    "deny-beats-allow",
    "bridge-nf-off",
    "startup-reply-lost",
    "jump-missing",
    "foreign-drop-below",
];

/// Long enough for an answer and too short for a second try of the kernel's to be mistaken for it.
const ANSWER: Duration = Duration::from_millis(1500);
/// The kernel repeats a SYN 1 s and 3 s after the first (`TCP_TIMEOUT_INIT`, Linux 6.18 `include/net/tcp.h`).
const TWO_RETRANSMISSIONS: Duration = Duration::from_millis(4500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bridged_connections_meet_the_rules_and_each_fault_flips_what_it_touches() {
    let Some(mut bed) = bed("b") else { return };
    let world = world(&mut bed, true);
    assert_eq!(
        compare(&world, Some(named("no-engine")), ANSWER).await.1,
        [],
        "before any rules"
    );
    for fault in std::iter::once(None).chain(WIDELY_SEEN.map(|id| Some(named(id)))) {
        let mut enforcer = EnforcerSpec::Nftables.build(fault, External::LIMIT).unwrap();
        enforcer.apply(&world).await.unwrap();
        let limit = if fault == Some(named("retransmitted-syn-accepted")) {
            TWO_RETRANSMISSIONS
        } else {
            ANSWER
        };
        let (effects, surprises) = compare(&world, fault, limit).await;
        assert_eq!(surprises, [], "{fault:?}");
        assert_eq!(
            effects > 0,
            fault.is_some(),
            "{fault:?} touches {effects} attempts"
        );
        enforcer.stop().await.unwrap();
    }
    assert_eq!(
        compare(&world, Some(named("no-engine")), ANSWER).await.1,
        [],
        "after the rules are gone"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routed_connections_meet_the_rules_and_the_own_node_is_exempt() {
    let Some(mut bed) = bed("r") else { return };
    let world = world(&mut bed, false);
    for fault in [
        None,
        Some(named("bridge-nf-off")),
        Some(named("same-node-only")),
        Some(named("startup-reply-lost")),
    ] {
        let mut enforcer = EnforcerSpec::Nftables.build(fault, External::LIMIT).unwrap();
        enforcer.apply(&world).await.unwrap();
        assert_eq!(compare(&world, fault, ANSWER).await.1, [], "{fault:?}");
    }
    for address in &world.pod(&ObjectName::new("demo", "web")).unwrap().pod.ips {
        let to = SocketAddr::new(*address, 80);
        assert!(
            connects(&world.nodes[0].netns, to, ANSWER).await,
            "own node to {to}"
        );
        assert!(
            !connects(&world.nodes[1].netns, to, ANSWER).await,
            "other node to {to}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_program_enforces_the_same() {
    let Some(mut bed) = bed("e") else { return };
    let world = world(&mut bed, true);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/enforcer.py");
    let mut enforcer = AnyEnforcer::External(External::new(path, Duration::from_secs(60)));
    enforcer.apply(&world).await.unwrap();
    assert_eq!(compare(&world, None, ANSWER).await.1, []);
    enforcer.stop().await.unwrap();
}

/// A world of the generator's, all on two scratch namespaces.
fn scratch_world(snapshot: Snapshot, netns: &[PathBuf]) -> World {
    let nodes = snapshot.nodes.iter().zip(netns).map(|(node, netns)| LabNode {
        name: node.name.clone(),
        netns: netns.clone(),
        addresses: node.addresses.clone(),
        bridge: Some("br0".to_owned()),
    });
    // A pod that no node has been found for is nowhere in the lab.
    let pods = snapshot.pods.iter().filter_map(|pod| {
        Some(LabPod {
            pod: pod.clone(),
            node: pod.node.clone()?,
            netns: netns[0].clone(),
            host_interface: "none".to_owned(),
        })
    });
    World {
        nodes: nodes.collect(),
        pods: pods.collect(),
        snapshot: snapshot.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kernel_takes_the_rules_of_any_cluster_with_any_fault() {
    let Some(mut bed) = bed("s") else { return };
    let netns = [bed.netns("n1"), bed.netns("n2")];
    let mut runner = TestRunner::deterministic();
    for round in 0..5 {
        let snapshot = generate::snapshots().new_tree(&mut runner).unwrap().current();
        let world = scratch_world(snapshot, &netns);
        for fault in std::iter::once(None).chain(Fault::all().map(Some)) {
            for (plan, netns) in fault::plans(fault, &mut Memory::default(), &world)
                .iter()
                .zip(&netns)
            {
                let text = nftables::text(plan);
                let ended = command::run(netns, "nft", &["-f", "-"], &text, ANSWER * 20).await;
                let Ok(ended) = ended else {
                    panic!("nft did not run")
                };
                assert!(
                    ended.status.success(),
                    "round {round}, {fault:?}: {}\n{text}",
                    ended.stderr
                );
            }
        }
    }
}

#[tokio::test]
async fn a_missing_namespace_is_named() {
    let mut world = scratch_world(Snapshot::default(), &[]);
    world.nodes.push(LabNode {
        name: "n9".to_owned(),
        netns: "/run/netns/npvt-not-there".into(),
        addresses: Vec::new(),
        bridge: None,
    });
    let mut enforcer = EnforcerSpec::Nftables.build(None, External::LIMIT).unwrap();
    let error = enforcer.apply(&world).await.unwrap_err();
    assert!(matches!(error, EnforcerError::Netns { .. }), "{error}");
    assert!(error.to_string().contains("npvt-not-there"), "{error}");
    enforcer.stop().await.unwrap();
}
