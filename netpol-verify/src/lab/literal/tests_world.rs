//! A small cluster from manifests, and questions to it in one line, for the tests of the tiers.
//!
//! ```text
//!  n1 (zone: a): x/a 10.0.0.1, y/c 10.0.0.3, y/host      n2 (zone: b): x/b 10.0.0.2      nowhere: y/new, without address
//! ```

use std::path::Path;

use super::{Party, Reading, permits};
use crate::{
    cluster::{Loaded, Snapshot},
    net::Protocol,
};

const CLUSTER: &str = r#"
{apiVersion: v1, kind: Namespace, metadata: {name: x, labels: {team: red}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: "y", labels: {team: blue}}}
---
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {zone: a}}
status: {addresses: [{type: InternalIP, address: 192.168.0.1}, {type: ExternalIP, address: 203.0.113.1}]}
---
apiVersion: v1
kind: Node
metadata: {name: n2, labels: {zone: b}}
status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: x, labels: {app: a}}
spec: {nodeName: n1}
status: {podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: x, labels: {app: b}}
spec: {nodeName: n2, containers: [{ports: [{name: web, containerPort: 80}, {name: dns, containerPort: 53, protocol: UDP}]}]}
status: {podIP: 10.0.0.2}
---
apiVersion: v1
kind: Pod
metadata: {name: c, namespace: "y", labels: {app: c}}
spec: {nodeName: n1}
status: {podIP: 10.0.0.3}
---
apiVersion: v1
kind: Pod
metadata: {name: host, namespace: "y", labels: {app: host}}
spec: {nodeName: n1, hostNetwork: true}
status: {podIP: 192.168.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: new, namespace: "y", labels: {app: new}}
"#;

/// A ClusterNetworkPolicy about every pod of namespace `x`.
pub(super) fn cnp(tier: &str, priority: u16, rules: &str) -> String {
    let subject = "subject: {namespaces: {matchLabels: {team: red}}}";
    about(&format!("tier: {tier}, priority: {priority}, {subject}, {rules}"))
}

/// A ClusterNetworkPolicy.
pub(super) fn about(spec: &str) -> String {
    format!(
        "{{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {{name: NAME}}, spec: {{{spec}}}}}"
    )
}

/// An AdminNetworkPolicy about every pod of namespace `x`, or the BaselineAdminNetworkPolicy.
pub(super) fn v1alpha1(kind: &str, spec: &str) -> String {
    let name = if kind == "BaselineAdminNetworkPolicy" {
        "default"
    } else {
        "NAME"
    };
    let subject = "subject: {namespaces: {matchLabels: {team: red}}}";
    format!(
        "{{apiVersion: policy.networking.k8s.io/v1alpha1, kind: {kind}, metadata: {{name: {name}}}, spec: {{{subject}, {spec}}}}}"
    )
}

/// A NetworkPolicy in a namespace.
pub(super) fn policy(namespace: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: NAME, namespace: {namespace:?}}}, spec: {{{spec}}}}}"
    )
}

pub(super) fn cluster(policies: &[String]) -> Snapshot {
    let mut text = CLUSTER.to_owned();
    for (index, policy) in policies.iter().enumerate() {
        text += &format!("---\n{}\n", policy.replace("NAME", &format!("p{index}")));
    }
    let (snapshot, problems) = Loaded::from_text(&text, Path::new("-")).into_snapshot();
    // Messages about what is read as closed or left open are expected.
    let refused = problems
        .iter()
        .find(|one| one.to_string().contains("is left out"));
    assert_eq!(refused, None);
    assert_eq!(snapshot.policies.len() + snapshot.admin.len(), policies.len());
    snapshot
}

/// What the policies make of `from>to:port`, over TCP, or over UDP with `/udp` behind it. An end is a pod `x/a`, a node
/// `n1` or an address.
pub(super) fn ask(policies: &[String], attempt: &str) -> Reading {
    ask_of(&cluster(policies), attempt)
}

pub(super) fn ask_of(snapshot: &Snapshot, attempt: &str) -> Reading {
    let (attempt, protocol) = match attempt.strip_suffix("/udp") {
        Some(attempt) => (attempt, Protocol::Udp),
        None => (attempt, Protocol::Tcp),
    };
    let (from, to) = attempt.split_once('>').unwrap();
    let (to, port) = to.rsplit_once(':').unwrap();
    let (from, to) = (party(snapshot, from), party(snapshot, to));
    permits(snapshot, from, to, protocol, port.parse().unwrap())
}

pub(super) fn party<'a>(snapshot: &'a Snapshot, text: &str) -> Party<'a> {
    if let Ok(address) = text.parse() {
        return Party::Outside(address);
    }
    if let Some(node) = snapshot.nodes.iter().find(|node| node.name == text) {
        return Party::Node {
            name: &node.name,
            address: node.addresses[0],
        };
    }
    let pod = snapshot.pod(&text.parse().unwrap()).unwrap();
    Party::Pod {
        pod,
        address: pod.ips.first().copied(),
    }
}

pub(super) const EGRESS_REFUSES: Reading = Reading::Refused {
    egress: true,
    ingress: false,
};

pub(super) const INGRESS_REFUSES: Reading = Reading::Refused {
    egress: false,
    ingress: true,
};
