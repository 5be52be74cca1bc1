//! A snapshot as manifests, so that a generated cluster can be kept as a file.

use serde_json::{Map, Value, json};

use crate::cluster::{
    Action, AdminKind, AdminPeer, AdminPods, AdminPolicy, AdminPort, AdminRule, Node, Pod, Snapshot, Tier,
};

/// Everything in the snapshot that policies are about, as YAML.
pub(super) fn written(snapshot: &Snapshot) -> String {
    let namespaces = snapshot.namespaces.iter().map(|namespace| {
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": namespace.name, "labels": namespace.labels}
        })
    });
    let policies = snapshot
        .policies
        .iter()
        .map(|policy| serde_json::to_value(&*policy.object).unwrap());
    let documents = namespaces
        .chain(snapshot.nodes.iter().map(node))
        .chain(snapshot.pods.iter().map(pod))
        .chain(policies)
        .chain(snapshot.admin.iter().map(|policy| admin_policy(&policy.object)));
    documents
        .map(|document| serde_saphyr::to_string(&document).unwrap())
        .collect::<Vec<_>>()
        .join("---\n")
}

fn node(node: &Node) -> Value {
    let addresses: Vec<Value> = node
        .addresses
        .iter()
        .map(|address| json!({"type": "InternalIP", "address": address}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": node.name, "labels": node.labels},
        "status": {"addresses": addresses}
    })
}

fn pod(pod: &Pod) -> Value {
    let ips: Vec<Value> = pod.ips.iter().map(|address| json!({"ip": address})).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": pod.name.name, "namespace": pod.name.namespace, "labels": pod.labels},
        "spec": {
            "nodeName": pod.node,
            "hostNetwork": pod.host_network,
            "containers": [{"name": "main", "ports": pod.ports}]
        },
        "status": {"phase": pod.phase, "podIPs": ips}
    })
}

fn admin_policy(policy: &AdminPolicy) -> Value {
    let mut spec = Map::new();
    if policy.kind == AdminKind::ClusterNetworkPolicy {
        let tier = match policy.tier {
            Tier::Admin => "Admin",
            Tier::Baseline => "Baseline",
        };
        spec.insert("tier".to_owned(), json!(tier));
    }
    if policy.kind != AdminKind::BaselineAdminNetworkPolicy {
        spec.insert("priority".to_owned(), json!(policy.priority));
    }
    spec.insert("subject".to_owned(), json!({"pods": pods(&policy.subject)}));
    let rules = |peers_key, rules: &[AdminRule]| -> Value {
        rules
            .iter()
            .map(|one| rule(policy.kind, peers_key, one))
            .collect()
    };
    spec.insert("ingress".to_owned(), rules("from", &policy.ingress));
    spec.insert("egress".to_owned(), rules("to", &policy.egress));
    json!({
        "apiVersion": policy.kind.api_version(), "kind": policy.kind,
        "metadata": {"name": policy.name},
        "spec": spec
    })
}

fn pods(pods: &AdminPods) -> Value {
    json!({"namespaceSelector": pods.namespaces, "podSelector": pods.pods})
}

fn rule(kind: AdminKind, peers_key: &str, rule: &AdminRule) -> Value {
    let action = match rule.action {
        Action::Accept => kind.accept().to_owned(),
        Action::Deny | Action::Pass => rule.action.to_string(),
    };
    let peers: Value = rule.peers.iter().map(peer).collect();
    let mut written = json!({"action": action, peers_key: peers});
    if !rule.ports.is_empty() {
        let (key, ports): (_, Value) = match kind {
            AdminKind::ClusterNetworkPolicy => ("protocols", rule.ports.iter().map(port_v1alpha2).collect()),
            AdminKind::AdminNetworkPolicy | AdminKind::BaselineAdminNetworkPolicy => {
                ("ports", rule.ports.iter().map(port_v1alpha1).collect())
            }
        };
        written[key] = ports;
    }
    written
}

/// What is unknown is an entry without any field, as a client of an older version sees it.
fn peer(peer: &AdminPeer) -> Value {
    match peer {
        AdminPeer::Pods(wanted) => json!({"pods": pods(wanted)}),
        AdminPeer::Nodes(wanted) => json!({"nodes": wanted}),
        AdminPeer::Networks(blocks) => json!({"networks": blocks}),
        AdminPeer::DomainNames(names) => json!({"domainNames": names}),
        AdminPeer::Unknown => json!({}),
    }
}

fn port_v1alpha1(port: &AdminPort) -> Value {
    match port {
        AdminPort::Range(protocol, first, last) if first == last => {
            json!({"portNumber": {"protocol": protocol, "port": first}})
        }
        AdminPort::Range(protocol, first, last) => {
            json!({"portRange": {"protocol": protocol, "start": first, "end": last}})
        }
        AdminPort::Named(name) => json!({"namedPort": name}),
        AdminPort::All(_) => panic!("v1alpha1 cannot say {port:?}"),
        AdminPort::Unknown => json!({}),
    }
}

fn port_v1alpha2(port: &AdminPort) -> Value {
    let of = |protocol: &crate::net::Protocol, ports: Value| json!({protocol.as_str().to_lowercase(): ports});
    match port {
        AdminPort::All(protocol) => of(protocol, json!({})),
        AdminPort::Range(protocol, first, last) if first == last => {
            of(protocol, json!({"destinationPort": {"number": first}}))
        }
        AdminPort::Range(protocol, first, last) => of(
            protocol,
            json!({"destinationPort": {"range": {"start": first, "end": last}}}),
        ),
        AdminPort::Named(name) => json!({"destinationNamedPort": name}),
        AdminPort::Unknown => json!({}),
    }
}

mod tests {
    use std::{collections::BTreeSet, path::Path};

    use proptest::prelude::*;

    use crate::{
        cluster::{Loaded, Snapshot},
        lab::literal::generate::snapshots,
    };

    /// All objects of a snapshot, whatever their order and place.
    fn objects(snapshot: &Snapshot) -> BTreeSet<String> {
        let policies = snapshot.policies.iter().map(|one| format!("{:?}", one.object));
        let admin = snapshot.admin.iter().map(|one| format!("{:?}", one.object));
        let pods = snapshot.pods.iter().map(|one| format!("{one:?}"));
        let nodes = snapshot.nodes.iter().map(|one| format!("{one:?}"));
        let namespaces = snapshot.namespaces.iter().map(|one| format!("{one:?}"));
        policies
            .chain(admin)
            .chain(pods)
            .chain(nodes)
            .chain(namespaces)
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn what_is_written_is_read_back(snapshot in snapshots()) {
            let text = super::written(&snapshot);
            let (read, _) = Loaded::from_text(&text, Path::new("-")).into_snapshot();
            prop_assert_eq!(objects(&read), objects(&snapshot), "{}", text);
        }
    }
}
