//! Small random clusters, with every field of every kind of policy, and questions about them.
//!
//! Everything is drawn from vocabularies small enough that selectors match, names resolve and blocks overlap.
//! What the API server would refuse is not drawn: how the two evaluators read it is no part of the specification.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicySpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use super::{
    Party, generate_admin,
    generate_pod::{self, node_addresses},
    generate_policy,
    generate_words::{NAMESPACES, NODES, labels, protocol},
};
use crate::{
    cluster::{NAMESPACE_NAME_LABEL, Namespace, Node, Place, Snapshot, SourcedPolicy},
    net::{Family, Protocol},
};

const OUTSIDERS: [&str; 5] = [
    "203.0.113.7",
    "203.0.113.99",
    "10.0.0.200",
    "2001:db8::7",
    "fd00::200",
];

/// One end of a generated question, by its place in the snapshot.
#[derive(Clone, Debug)]
enum Asker {
    /// A pod and one of its addresses, if it has any.
    Pod(Index, Index),
    /// A node and one of its addresses.
    Node(Index, Index),
    /// Somebody outside.
    Outside(Index),
}

impl Asker {
    /// The party this is in the snapshot, of the family that is asked for if it is of that too.
    fn party<'a>(&self, snapshot: &'a Snapshot, family: Option<Family>) -> Party<'a> {
        let choose = |index: &Index, all: &[IpAddr]| {
            let of_family = |address: &&IpAddr| family.is_none_or(|family| Family::of(**address) == family);
            let fitting: Vec<&IpAddr> = all.iter().filter(of_family).collect();
            *if fitting.is_empty() {
                index.get(all)
            } else {
                *index.get(&fitting)
            }
        };
        match self {
            Self::Pod(pod, address) => {
                let pod = pod.get(&snapshot.pods);
                let address = (!pod.ips.is_empty()).then(|| choose(address, &pod.ips));
                Party::Pod { pod, address }
            }
            Self::Node(node, address) => {
                let node = node.get(&snapshot.nodes);
                Party::Node {
                    name: &node.name,
                    address: choose(address, &node.addresses),
                }
            }
            Self::Outside(address) => {
                let all = OUTSIDERS.map(|text| text.parse().unwrap());
                Party::Outside(choose(address, &all))
            }
        }
    }
}

/// A generated question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    from: Asker,
    to: Asker,
    /// Whether the ends may be of different families.
    mixed: bool,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
}

impl Question {
    /// The two ends in the snapshot that the question was generated with, or any other.
    pub(crate) fn parties<'a>(&self, snapshot: &'a Snapshot) -> (Party<'a>, Party<'a>) {
        let from = self.from.party(snapshot, None);
        let family = from.address().map(Family::of).filter(|_| !self.mixed);
        (from, self.to.party(snapshot, family))
    }
}

/// Questions of every kind: pods, nodes and outsiders at either end; ports that policies name and others.
pub(crate) fn questions() -> impl Strategy<Value = Vec<Question>> {
    let question = (
        asker(),
        asker(),
        prop::bool::weighted(0.02),
        protocol(),
        select(vec![53, 79, 80, 81, 85, 90, 91, 8080, 9999]),
    )
        .prop_map(|(from, to, mixed, protocol, port)| Question {
            from,
            to,
            mixed,
            protocol,
            port,
        });
    vec(question, 64)
}

fn asker() -> impl Strategy<Value = Asker> {
    prop_oneof![
        6 => (any::<Index>(), any::<Index>()).prop_map(|(pod, address)| Asker::Pod(pod, address)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(node, address)| Asker::Node(node, address)),
        1 => any::<Index>().prop_map(Asker::Outside),
    ]
}

/// Clusters of two nodes, three namespaces, three to seven pods, and up to four policies before, in and behind the
/// namespaces' tier.
pub(crate) fn snapshots() -> impl Strategy<Value = Snapshot> {
    (
        vec(labels(), NAMESPACES.len()),
        vec(labels(), NODES.len()),
        vec(generate_pod::pod(), 3..8),
        vec(generate_policy::policy(), 0..5),
        generate_admin::admin_policies(),
    )
        .prop_map(|(of_namespaces, of_nodes, pods, policies, admin)| Snapshot {
            generation: 1,
            namespaces: NAMESPACES
                .into_iter()
                .zip(of_namespaces)
                .map(|(name, mut labels)| {
                    labels.insert(NAMESPACE_NAME_LABEL.to_owned(), name.to_owned());
                    Namespace {
                        name: name.to_owned(),
                        labels,
                    }
                })
                .collect(),
            nodes: (0..)
                .zip(NODES)
                .zip(of_nodes)
                .map(|((index, name), labels)| Node {
                    name: name.to_owned(),
                    addresses: node_addresses(index),
                    labels,
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
                .map(|(index, (namespace, spec))| network_policy(index, namespace, spec))
                .collect(),
            admin,
            ..Snapshot::default()
        })
}

fn network_policy(index: usize, namespace: &str, spec: NetworkPolicySpec) -> SourcedPolicy {
    SourcedPolicy {
        object: Arc::new(NetworkPolicy {
            metadata: ObjectMeta {
                name: Some(format!("policy-{index}")),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
        }),
        place: nowhere(),
    }
}

/// The place of what no file holds.
pub(super) fn nowhere() -> Place {
    Place {
        file: PathBuf::from("-"),
        line: 0,
    }
}
