//! Small random clusters, with every field of NetworkPolicy v1, and questions about them.
//!
//! Everything is drawn from vocabularies small enough that selectors match, names resolve and blocks overlap.
//! What the API server would refuse is not drawn: how the two evaluators read it is no part of the specification.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, sync::Arc};

use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::{Index, select},
};

use super::Party;
use crate::{
    cluster::{ContainerPort, Namespace, Node, ObjectName, Phase, Place, Pod, Snapshot, SourcedPolicy},
    net::Protocol,
};

const NAMESPACES: [&str; 3] = ["x", "y", "z"];
const NODES: [&str; 2] = ["n1", "n2"];
const KEYS: [&str; 2] = ["app", "team"];
const VALUES: [&str; 3] = ["a", "b", "c"];
const NAMES: [&str; 2] = ["web", "metrics"];
const OUTSIDERS: [&str; 5] = [
    "203.0.113.7",
    "203.0.113.99",
    "10.0.0.200",
    "2001:db8::7",
    "fd00::200",
];
const NUMBERS: [u16; 4] = [53, 80, 81, 8080];
/// Blocks, each with holes that are strict subsets of it, as validation demands (R11).
const BLOCKS: [(&str, &[&str]); 8] = [
    ("0.0.0.0/0", &["10.0.0.0/8", "203.0.113.7/32", "10.0.1.0/24"]),
    ("10.0.0.0/16", &["10.0.1.0/24", "10.0.0.10/32", "10.0.0.8/30"]),
    ("10.0.0.10/32", &[]),
    ("10.0.0.5/24", &["10.0.0.8/29"]),
    ("203.0.113.0/24", &["203.0.113.0/28", "203.0.113.7/32"]),
    ("::/0", &["fd00::/16", "fd00:0:0:1::/64"]),
    ("fd00::/48", &["fd00:0:0:1::/64", "fd00::10/128"]),
    ("192.168.0.0/30", &["192.168.0.2/32"]),
];

/// One end of a generated question, by its place in the snapshot.
#[derive(Clone, Debug)]
pub(crate) enum Asker {
    /// A pod and one of its addresses.
    Pod(Index, Index),
    /// A node and one of its addresses.
    Node(Index, Index),
    /// Somebody outside.
    Outside(IpAddr),
}

impl Asker {
    /// The party this is in the snapshot that it was generated with, or any other.
    pub(crate) fn party<'a>(&self, snapshot: &'a Snapshot) -> Party<'a> {
        match self {
            Self::Pod(pod, address) => {
                let pod = pod.get(&snapshot.pods);
                Party::Pod {
                    pod,
                    address: *address.get(&pod.ips),
                }
            }
            Self::Node(node, address) => {
                let node = node.get(&snapshot.nodes);
                Party::Node {
                    name: &node.name,
                    address: *address.get(&node.addresses),
                }
            }
            Self::Outside(address) => Party::Outside(*address),
        }
    }
}

/// A generated question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) from: Asker,
    pub(crate) to: Asker,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
}

/// Questions of every kind: pods, nodes and outsiders at either end; ports that policies name and others.
pub(crate) fn questions() -> impl Strategy<Value = Vec<Question>> {
    let question = (
        asker(),
        asker(),
        protocol(),
        select(vec![53, 79, 80, 81, 85, 90, 91, 8080, 9999]),
    )
        .prop_map(|(from, to, protocol, port)| Question {
            from,
            to,
            protocol,
            port,
        });
    vec(question, 64)
}

fn asker() -> impl Strategy<Value = Asker> {
    prop_oneof![
        6 => (any::<Index>(), any::<Index>()).prop_map(|(pod, address)| Asker::Pod(pod, address)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(node, address)| Asker::Node(node, address)),
        1 => select(&OUTSIDERS[..]).prop_map(|text| Asker::Outside(text.parse().unwrap())),
    ]
}

/// Clusters of two nodes, three namespaces, three to seven pods and up to four policies.
pub(crate) fn snapshots() -> impl Strategy<Value = Snapshot> {
    (
        vec(labels(), NAMESPACES.len()),
        vec(pod(), 3..8),
        vec(policy(), 0..5),
    )
        .prop_map(|(namespace_labels, pods, policies)| Snapshot {
            generation: 1,
            namespaces: NAMESPACES
                .iter()
                .zip(namespace_labels)
                .map(|(name, mut labels)| {
                    labels.insert("kubernetes.io/metadata.name".to_owned(), (*name).to_owned());
                    Namespace {
                        name: (*name).to_owned(),
                        labels,
                    }
                })
                .collect(),
            nodes: (0..NODES.len())
                .map(|node| Node {
                    name: NODES[node].to_owned(),
                    addresses: node_addresses(node),
                    labels: BTreeMap::new(),
                })
                .collect(),
            pods: pods
                .into_iter()
                .enumerate()
                .map(|(index, pod)| pod.build(index))
                .collect(),
            policies: policies
                .into_iter()
                .enumerate()
                .map(|(index, (namespace, spec))| SourcedPolicy {
                    object: Arc::new(NetworkPolicy {
                        metadata: ObjectMeta {
                            name: Some(format!("policy-{index}")),
                            namespace: Some(namespace.to_owned()),
                            ..ObjectMeta::default()
                        },
                        spec: Some(spec),
                    }),
                    place: Place {
                        file: PathBuf::from("-"),
                        line: 0,
                    },
                })
                .collect(),
            ..Snapshot::default()
        })
}

fn node_addresses(node: usize) -> Vec<IpAddr> {
    vec![
        format!("192.168.0.{}", node + 1).parse().unwrap(),
        format!("fd01::{}", node + 1).parse().unwrap(),
    ]
}

/// A pod before it has its place among the others.
#[derive(Clone, Debug)]
struct Draft {
    namespace: &'static str,
    node: usize,
    labels: BTreeMap<String, String>,
    phase: Phase,
    host_network: bool,
    families: (bool, bool),
    ports: Vec<ContainerPort>,
}

impl Draft {
    fn build(mut self, index: usize) -> Pod {
        let mut names = std::collections::BTreeSet::new();
        self.ports
            .retain(|port| port.name.as_ref().is_none_or(|name| names.insert(name.clone())));
        // The address of a pod that is over may be the next pod's by now (R28); all others differ.
        let address = if self.phase.is_terminal() {
            index + 1
        } else {
            index
        };
        let own = [
            (self.families.0, format!("10.0.{}.{}", address % 2, 10 + address)),
            (
                self.families.1,
                format!("fd00:0:0:{}::{}", address % 2, 10 + address),
            ),
        ];
        Pod {
            name: ObjectName::new(self.namespace, format!("pod-{index}")),
            uid: None,
            labels: self.labels,
            node: Some(NODES[self.node].to_owned()),
            ips: if self.host_network {
                node_addresses(self.node)
            } else {
                own.iter()
                    .filter(|(has, _)| *has)
                    .map(|(_, text)| text.parse().unwrap())
                    .collect()
            },
            host_network: self.host_network,
            phase: self.phase,
            ports: self.ports,
            workload: None,
        }
    }
}

fn pod() -> impl Strategy<Value = Draft> {
    let phase = prop_oneof![
        8 => Just(Phase::Running),
        1 => Just(Phase::Pending),
        1 => Just(Phase::Succeeded),
        1 => Just(Phase::Failed),
        1 => Just(Phase::Unknown),
    ];
    // A name is unique within its pod, as the API asks (ContainerPort.name); what it does not refuse across containers
    // is open, and not for the two readings to agree on.
    let port = (option::of(select(&NAMES[..])), select(&NUMBERS[..]), protocol()).prop_map(
        |(name, port, protocol)| ContainerPort {
            name: name.map(str::to_owned),
            port,
            protocol,
        },
    );
    (
        select(&NAMESPACES[..]),
        0..NODES.len(),
        labels(),
        phase,
        prop::bool::weighted(0.1),
        prop_oneof![4 => Just((true, true)), 1 => Just((true, false)), 1 => Just((false, true))],
        vec(port, 0..4),
    )
        .prop_map(
            |(namespace, node, labels, phase, host_network, families, ports)| Draft {
                namespace,
                node,
                labels,
                phase,
                host_network,
                families,
                ports,
            },
        )
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![4 => Just(Protocol::Tcp), 2 => Just(Protocol::Udp), 1 => Just(Protocol::Sctp)]
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(
        select(&KEYS[..]).prop_map(str::to_owned),
        select(&VALUES[..]).prop_map(str::to_owned),
        0..3,
    )
}

fn selector() -> impl Strategy<Value = LabelSelector> {
    let values = || vec(select(&VALUES[..]).prop_map(str::to_owned), 1..3);
    let requirement = (
        select(&KEYS[..]).prop_map(str::to_owned),
        prop_oneof![
            values().prop_map(|values| ("In", Some(values))),
            values().prop_map(|values| ("NotIn", Some(values))),
            Just(("Exists", None)),
            Just(("DoesNotExist", None)),
        ],
    )
        .prop_map(|(key, (operator, values))| LabelSelectorRequirement {
            key,
            operator: operator.to_owned(),
            values,
        });
    prop_oneof![
        2 => Just(LabelSelector::default()),
        5 => (option::weighted(0.6, labels()), option::weighted(0.4, vec(requirement, 0..3)))
            .prop_map(|(match_labels, match_expressions)| LabelSelector { match_labels, match_expressions }),
    ]
}

fn namespace_selector() -> impl Strategy<Value = LabelSelector> {
    let by_name = select(&NAMESPACES[..]).prop_map(|name| LabelSelector {
        match_labels: Some(BTreeMap::from([(
            "kubernetes.io/metadata.name".to_owned(),
            name.to_owned(),
        )])),
        match_expressions: None,
    });
    prop_oneof![3 => selector(), 1 => by_name]
}

fn peer() -> impl Strategy<Value = NetworkPolicyPeer> {
    let pods = |namespaces, pods| NetworkPolicyPeer {
        ip_block: None,
        namespace_selector: namespaces,
        pod_selector: pods,
    };
    let block = (select(&BLOCKS[..]), vec(any::<Index>(), 0..3)).prop_map(|((cidr, holes), chosen)| {
        let except: Vec<String> = if holes.is_empty() {
            Vec::new()
        } else {
            chosen
                .iter()
                .map(|index| (*index.get(holes)).to_owned())
                .collect()
        };
        NetworkPolicyPeer {
            ip_block: Some(IPBlock {
                cidr: cidr.to_owned(),
                except: (!except.is_empty()).then_some(except),
            }),
            ..NetworkPolicyPeer::default()
        }
    });
    prop_oneof![
        selector().prop_map(move |wanted| pods(None, Some(wanted))),
        namespace_selector().prop_map(move |wanted| pods(Some(wanted), None)),
        (namespace_selector(), selector())
            .prop_map(move |(namespaces, wanted)| pods(Some(namespaces), Some(wanted))),
        block,
    ]
}

fn port_entry() -> impl Strategy<Value = NetworkPolicyPort> {
    let number = |port: u16| Some(IntOrString::Int(i32::from(port)));
    let port = prop_oneof![
        1 => Just((None, None)),
        4 => select(&NUMBERS[..]).prop_map(move |port| (number(port), None)),
        2 => select(&[(79, 81), (80, 80), (80, 90), (1, 65535)][..])
            .prop_map(move |(first, last)| (number(first), Some(last))),
        3 => select(&NAMES[..]).prop_map(|name| (Some(IntOrString::String(name.to_owned())), None)),
    ];
    (option::weighted(0.7, protocol()), port).prop_map(|(protocol, (port, end_port))| NetworkPolicyPort {
        protocol: protocol.map(|protocol| protocol.as_str().to_owned()),
        port,
        end_port,
    })
}

/// A list as the API has them: missing, empty, or with entries.
fn list<S: Strategy>(entry: S, weight: f64) -> impl Strategy<Value = Option<Vec<S::Value>>>
where
    S::Value: Clone,
{
    option::weighted(weight, vec(entry, 0..3))
}

fn policy() -> impl Strategy<Value = (&'static str, NetworkPolicySpec)> {
    let rule = || (list(peer(), 0.8), list(port_entry(), 0.6));
    let types = prop_oneof![
        3 => Just(None),
        1 => Just(Some(vec![])),
        2 => Just(Some(vec!["Ingress".to_owned()])),
        2 => Just(Some(vec!["Egress".to_owned()])),
        2 => Just(Some(vec!["Ingress".to_owned(), "Egress".to_owned()])),
    ];
    let ingress = rule().prop_map(|(from, ports)| NetworkPolicyIngressRule { from, ports });
    let egress = rule().prop_map(|(to, ports)| NetworkPolicyEgressRule { to, ports });
    (
        select(&NAMESPACES[..]),
        option::weighted(0.9, selector()),
        types,
        list(ingress, 0.7),
        list(egress, 0.5),
    )
        .prop_map(|(namespace, pod_selector, policy_types, ingress, egress)| {
            (
                namespace,
                NetworkPolicySpec {
                    pod_selector,
                    policy_types,
                    ingress,
                    egress,
                },
            )
        })
}
