//! Random NetworkPolicies, with every field of v1.

use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
};

use super::generate_words::{BLOCKS, NAMES, NAMESPACES, NUMBERS, namespace_selector, protocol, selector};

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

pub(super) fn policy() -> impl Strategy<Value = (&'static str, NetworkPolicySpec)> {
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
