//! What an API server would have refused is read alike by both readings: the lab's enforcer follows the one, its verdicts the
//! other.

use std::path::Path;

use proptest::prelude::*;

use super::{agreement::disagreement, literal::Party};
use crate::{cluster::Loaded, net::Protocol, policy::compile};

const PODS: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: y, labels: {team: red}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x, labels: {app: a}}, spec: {nodeName: n1, containers: [{ports: [{name: web, containerPort: 80}]}]}, status: {podIPs: [{ip: 10.0.0.1}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: x, labels: {app: b, tier: ''}}, spec: {nodeName: n2}, status: {podIPs: [{ip: 10.0.0.2}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: c, namespace: 'y', labels: {app: a}}, spec: {nodeName: n2}, status: {podIPs: [{ip: 10.0.1.3}]}}
";

/// Selectors, half of them lawful.
fn selector() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{}",
        "{matchLabels: {app: a}}",
        "{matchLabels: {tier: ''}}",
        "{matchLabels: {app: null}}",
        "{matchLabels: {app: 'a b'}}",
        "{matchLabels: {'Example.com/app': a}}",
        "{matchLabels: {'example.com/app': a}}",
        "{matchLabels: {'-app': a}}",
        "{matchExpressions: [{key: app, operator: NotIn, values: [a]}]}",
        "{matchExpressions: [{key: app, operator: NotIn}]}",
        "{matchExpressions: [{key: app, operator: NotIn, values: ['a b']}]}",
        "{matchExpressions: [{key: app, operator: Exists, values: [a]}]}",
        "{matchExpressions: [{key: app, operator: Near}]}",
        "{matchExpressions: [{key: '', operator: DoesNotExist}]}",
        "{matchExpressions: [null]}",
        "{matchExpressions: [{key: team, operator: DoesNotExist}]}",
    ])
}

fn peer() -> impl Strategy<Value = String> {
    let block = prop::sample::select(vec![
        "{ipBlock: {cidr: 10.0.0.0/24}}",
        "{ipBlock: {cidr: 010.0.0.0/016}}",
        "{ipBlock: {cidr: 10.0.0.1}}",
        "{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/24]}}",
        "{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.0.0/24]}}",
        "{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.1.0/25]}}",
        "{ipBlock: {cidr: 10.0.0.0/24, except: [x]}}",
        "{ipBlock: {cidr: '::ffff:10.0.0.0/104', except: [10.0.0.0/16]}}",
        "{ipBlock: {cidr: 10.0.0.0/8, except: ['::ffff:10.0.0.0/120']}}",
        "{ipBlock: {cidr: ''}}",
        "{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}",
        "{}",
        "null",
    ]);
    prop_oneof![
        block.prop_map(str::to_owned),
        selector().prop_map(|pods| format!("{{podSelector: {pods}}}")),
        (selector(), selector()).prop_map(|(namespaces, pods)| format!(
            "{{namespaceSelector: {namespaces}, podSelector: {pods}}}"
        )),
    ]
}

fn port() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{}",
        "null",
        "{port: 80}",
        "{port: web}",
        "{port: WEB}",
        "{port: '80'}",
        "{port: 0}",
        "{port: 79, endPort: 81}",
        "{port: 81, endPort: 79}",
        "{port: web, endPort: 90}",
        "{endPort: 90}",
        "{protocol: '', port: 80}",
        "{protocol: tcp, port: 80}",
        "{protocol: UDP}",
        "{port: 80, endPort: 70000}",
    ])
}

fn policy() -> impl Strategy<Value = String> {
    let types = prop::sample::select(vec![
        "",
        ", policyTypes: []",
        ", policyTypes: [Ingress]",
        ", policyTypes: [Egress]",
        ", policyTypes: [Egress, Ingress]",
        ", policyTypes: [ingress]",
        ", policyTypes: [Ingress, x]",
        ", policyTypes: [null]",
    ]);
    let rules = |peers: &'static str| {
        let rule = (
            prop::collection::vec(peer(), 0..3),
            prop::collection::vec(port(), 0..3),
        )
            .prop_map(move |(of, ports)| {
                format!("{{{peers}: [{}], ports: [{}]}}", of.join(", "), ports.join(", "))
            });
        let rule = prop_oneof![9 => rule, 1 => Just("null".to_owned())];
        prop::collection::vec(rule, 0..3).prop_map(|rules| rules.join(", "))
    };
    (selector(), types, rules("from"), rules("to")).prop_map(|(pods, types, ingress, egress)| {
        format!("{{podSelector: {pods}{types}, ingress: [{ingress}], egress: [{egress}]}}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn what_the_api_would_refuse_is_read_alike(policies in prop::collection::vec(policy(), 1..3)) {
        let mut text = PODS.to_owned();
        for (number, spec) in policies.iter().enumerate() {
            text.push_str(&format!("\n---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: p{number}, namespace: x}}, spec: {spec}}}"));
        }
        let (snapshot, _) = Loaded::from_text(&text, Path::new("t")).into_snapshot();
        prop_assert_eq!(snapshot.policies.len(), policies.len());
        let (set, _) = compile(&snapshot);
        let parties: Vec<Party<'_>> = snapshot
            .pods
            .iter()
            .map(|pod| Party::Pod { pod, address: pod.ips.first().copied() })
            .chain([Party::Outside([203, 0, 113, 1].into())])
            .collect();
        for from in &parties {
            for to in &parties {
                for (protocol, port) in [(Protocol::Tcp, 80), (Protocol::Udp, 53)] {
                    let differ = disagreement(&snapshot, &set, *from, *to, protocol, port);
                    prop_assert!(differ.is_none(), "{differ:?} on {from:?} {to:?} {protocol}/{port}");
                }
            }
        }
    }
}
