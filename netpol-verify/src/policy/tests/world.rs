//! A small cluster for tests, and short ways to put questions to it.

use std::{path::Path, sync::OnceLock};

use super::{End, Expectation, PolicySet, Traffic, Unspecified, compile};
use crate::{
    cluster::{Loaded, Problem, Snapshot},
    net::{Family, Protocol},
};

pub(in crate::policy) const ALL: &str = "podSelector: {}";
pub(in crate::policy) const DENY_ALL: &str = "{podSelector: {}, policyTypes: [Ingress, Egress]}";

/// Two namespaces on two nodes; every pod dual stack: 10.0.0.N and fd00::N.
const WORLD: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: blue}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: other, labels: {team: red}}}
---
{apiVersion: v1, kind: Node, metadata: {name: node-1}, status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: node-2}, status: {addresses: [{type: InternalIP, address: 192.0.2.2}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web, pod-template-hash: abc}}
spec: {nodeName: node-1, containers: [{ports: [{name: http, containerPort: 80}, {name: dns, containerPort: 53, protocol: UDP}]}]}
status: {podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop, labels: {app: api}}
spec: {nodeName: node-2, containers: [{ports: [{name: http, containerPort: 8080}]}]}
status: {podIPs: [{ip: 10.0.0.2}, {ip: 'fd00::2'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {nodeName: node-2, initContainers: [{restartPolicy: Always, ports: [{name: http, containerPort: 5432}]}]}
status: {phase: Pending, podIPs: [{ip: 10.0.0.3}, {ip: 'fd00::3'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: other, labels: {app: web}}
spec: {nodeName: node-1}
status: {podIPs: [{ip: 10.0.0.4}, {ip: 'fd00::4'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: other}
spec: {nodeName: node-2}
status: {podIPs: [{ip: 10.0.0.5}, {ip: 'fd00::5'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: shop, labels: {app: web}}
status: {phase: Succeeded, podIPs: [{ip: 10.0.0.6}]}
---
apiVersion: v1
kind: Pod
metadata: {name: host, namespace: shop, labels: {app: web}}
spec: {hostNetwork: true, nodeName: node-1}
status: {podIPs: [{ip: 192.0.2.1}]}
";

pub(in crate::policy) struct Case {
    pub(in crate::policy) snapshot: Snapshot,
    pub(in crate::policy) set: PolicySet,
    pub(in crate::policy) problems: Vec<Problem>,
}

/// The world with policies, each given as its `spec` in namespace `shop`.
pub(in crate::policy) fn given(specs: &[&str]) -> Case {
    given_with(specs, &[])
}

/// The world with NetworkPolicies and ClusterNetworkPolicies, each given as its `spec`.
pub(in crate::policy) fn given_with(specs: &[&str], cluster: &[&str]) -> Case {
    let mut policies: Vec<String> = specs
        .iter()
        .enumerate()
        .map(|(index, spec)| format!("\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: np-{index}, namespace: shop}}\nspec: {spec}\n"))
        .collect();
    policies.extend(cluster.iter().enumerate().map(|(index, spec)| {
        format!("\n---\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {{name: cnp-{index}}}\nspec: {spec}\n")
    }));
    static BASE: OnceLock<Snapshot> = OnceLock::new();
    let read = |text: &str| Loaded::from_text(text, Path::new("t")).into_snapshot();
    let mut snapshot = BASE
        .get_or_init(|| {
            let (world, problems) = read(WORLD);
            assert_eq!(problems, []);
            world
        })
        .clone();
    let (read, mut problems) = read(&policies.concat());
    snapshot.policies = read.policies;
    snapshot.admin = read.admin;
    let (set, more) = compile(&snapshot);
    problems.extend(more);
    Case {
        snapshot,
        set,
        problems,
    }
}

pub(in crate::policy) fn end(text: &str, family: u8) -> End {
    match text {
        "node-1" | "node-2" => End::Node {
            name: text.into(),
            address: format!("192.0.2.{}", &text[5..]).parse().unwrap(),
        },
        _ => match text.parse() {
            Ok(address) => End::Address(address),
            Err(_) => {
                let number = match text {
                    "shop/web" => 1,
                    "shop/api" => 2,
                    "shop/db" => 3,
                    "other/web" => 4,
                    "other/bare" => 5,
                    "shop/done" => 6,
                    _ => 99,
                };
                let address = if text == "shop/host" {
                    "192.0.2.1".into()
                } else if family == 4 {
                    format!("10.0.0.{number}")
                } else {
                    format!("fd00::{number}")
                };
                End::Pod {
                    name: text.parse().unwrap(),
                    address: Some(address.parse().unwrap()),
                }
            }
        },
    }
}

pub(in crate::policy) fn ask(from: &str, to: &str, protocol: Protocol, port: u16) -> Traffic {
    // A pod answers in the family of the address that it faces.
    let is_v6 = |text: &str| text.parse::<std::net::Ipv6Addr>().is_ok();
    let family = if is_v6(from) || is_v6(to) { 6 } else { 4 };
    Traffic::direct(end(from, family), end(to, family), protocol, port)
}

impl Case {
    pub(in crate::policy) fn expects(&self, from: &str, to: &str, port: u16) -> Expectation {
        self.answer(&ask(from, to, Protocol::Tcp, port))
    }

    pub(in crate::policy) fn answer(&self, traffic: &Traffic) -> Expectation {
        let decision = self.set.decide(traffic);
        if let (End::Pod { name: from, address }, End::Pod { name: to, .. }, None) =
            (&traffic.from, &traffic.to, &traffic.via)
            && let (Some(from), Some(to)) = (self.set.pod_id(from), self.set.pod_id(to))
            && let Some(of_matrix) = self.set.matrix(traffic.protocol, traffic.port).expect(
                from,
                to,
                address.map_or(Family::Ipv4, Family::of),
            )
            && decision.expectation != Expectation::Unspecified(Unspecified::UnknownEnd)
        {
            assert_eq!(
                decision.expectation, of_matrix,
                "both readings of one question agree"
            );
        }
        decision.expectation
    }

    pub(in crate::policy) fn allows(&self, from: &str, to: &str, port: u16) -> bool {
        match self.expects(from, to, port) {
            Expectation::Allow => true,
            Expectation::Deny => false,
            Expectation::Unspecified(why) => panic!("{from} -> {to}:{port}: {why:?}"),
        }
    }

    pub(in crate::policy) fn problem(&self) -> String {
        assert_eq!(self.problems.len(), 1, "{:?}", self.problems);
        self.problems[0].to_string()
    }
}
