//! The literal reading against the specification's own examples, and against its flattening.

use proptest::prelude::*;

use super::{generate, *};
use crate::{
    cluster::{Action, ContainerPort, Namespace, ObjectName, Phase, Place, Pod, Snapshot, SourcedPolicy},
    net::Protocol,
};

fn pod(namespace: &str, name: &str, last: u8) -> Pod {
    Pod {
        name: ObjectName::new(namespace, name),
        uid: None,
        labels: [("app".to_owned(), name.to_owned())].into(),
        node: Some("n1".to_owned()),
        ips: vec![
            format!("10.0.0.{last}").parse().unwrap(),
            format!("fd00::{last}").parse().unwrap(),
        ],
        host_network: false,
        phase: Phase::Running,
        ports: vec![ContainerPort {
            sidecar: false,
            name: Some("web".to_owned()),
            port: 8000 + u16::from(last),
            protocol: Protocol::Tcp,
        }],
        workload: None,
    }
}

fn cluster(policies: &[serde_json::Value]) -> Snapshot {
    let namespace = |name: &str| Namespace {
        name: name.to_owned(),
        labels: [
            ("kubernetes.io/metadata.name".to_owned(), name.to_owned()),
            ("project".to_owned(), format!("p{name}")),
        ]
        .into(),
    };
    Snapshot {
        generation: 1,
        namespaces: vec![namespace("x"), namespace("y")],
        pods: vec![
            pod("x", "a", 1),
            pod("x", "b", 2),
            pod("y", "a", 3),
            pod("y", "b", 4),
        ],
        nodes: Vec::new(),
        policies: policies
            .iter()
            .enumerate()
            .map(|(index, spec)| SourcedPolicy {
                object: std::sync::Arc::new(
                    serde_json::from_value(serde_json::json!({
                        "metadata": {"name": format!("p{index}"), "namespace": "x"}, "spec": spec
                    }))
                    .unwrap(),
                ),
                place: Place {
                    file: "-".into(),
                    line: 0,
                },
            })
            .collect(),
        ..Snapshot::default()
    }
}

/// `x/a`, or an address.
fn party<'a>(snapshot: &'a Snapshot, text: &str) -> Party<'a> {
    match text.parse() {
        Ok(address) => Party::Outside(address),
        Err(_) => {
            let pod = snapshot.pod(&text.parse().unwrap()).unwrap();
            Party::Pod {
                pod,
                address: pod.ips.first().copied(),
            }
        }
    }
}

/// Which of the attempts `from>to:port` over TCP are permitted.
fn permitted<'t>(policies: &[serde_json::Value], attempts: &[&'t str]) -> Vec<&'t str> {
    let snapshot = cluster(policies);
    attempts
        .iter()
        .copied()
        .filter(|attempt| {
            let (from, rest) = attempt.split_once('>').unwrap();
            let (to, port) = rest.split_once(':').unwrap();
            let (from, to) = (party(&snapshot, from), party(&snapshot, to));
            permits(&snapshot, from, to, Protocol::Tcp, port.parse().unwrap()) == Reading::Permitted
        })
        .collect()
}

macro_rules! spec {
    ($($json:tt)+) => { serde_json::json!({ $($json)+ }) };
}

#[test]
fn without_policies_everything_is_permitted() {
    assert_eq!(
        permitted(&[], &["x/a>x/b:80", "y/a>x/a:1", "203.0.113.7>x/a:80"]).len(),
        3
    );
}

#[test]
fn an_empty_policy_isolates_ingress_and_not_egress() {
    assert_eq!(
        permitted(
            &[spec!("podSelector": {})],
            &["x/a>x/b:80", "x/a>y/a:80", "y/a>x/a:80"]
        ),
        ["x/a>y/a:80"]
    );
}

#[test]
fn an_egress_section_without_types_isolates_both_ways() {
    let policy = spec!("podSelector": {"matchLabels": {"app": "a"}}, "egress": [{}]);
    assert_eq!(
        permitted(&[policy], &["x/a>x/b:80", "x/b>x/a:80", "x/b>y/a:80"]),
        ["x/a>x/b:80", "x/b>y/a:80"]
    );
}

#[test]
fn an_empty_egress_section_without_types_does_not_isolate_egress() {
    assert_eq!(
        permitted(&[spec!("podSelector": {}, "egress": [])], &["x/a>y/b:80"]),
        ["x/a>y/b:80"]
    );
}

#[test]
fn rules_of_a_type_that_is_not_listed_do_not_count() {
    let policies = [
        spec!("podSelector": {}, "policyTypes": ["Egress"], "ingress": [{}], "egress": [{}]),
        spec!("podSelector": {}),
    ];
    assert_eq!(
        permitted(&policies, &["y/a>x/a:80", "x/a>y/a:80"]),
        ["x/a>y/a:80"]
    );
}

#[test]
fn one_entry_with_both_selectors_is_and_two_entries_are_or() {
    let attempts = ["x/a>x/b:80", "y/a>x/b:80", "y/b>x/b:80"];
    let ns = spec!("matchLabels": {"project": "py"});
    let pods = spec!("matchLabels": {"app": "a"});
    let and = spec!("ingress": [{"from": [{"namespaceSelector": ns, "podSelector": pods}]}]);
    let or = spec!("ingress": [{"from": [{"namespaceSelector": ns}, {"podSelector": pods}]}]);
    assert_eq!(permitted(&[and], &attempts), ["y/a>x/b:80"]);
    assert_eq!(permitted(&[or], &attempts), attempts);
}

#[test]
fn both_sides_must_permit() {
    let policies = [
        spec!("podSelector": {"matchLabels": {"app": "b"}}, "ingress": [{"from": [{"podSelector": {}}]}]),
        spec!("podSelector": {"matchLabels": {"app": "a"}}, "policyTypes": ["Egress"]),
    ];
    assert_eq!(
        permitted(&policies, &["x/a>x/b:80", "y/a>x/b:80"]),
        Vec::<&str>::new()
    );
    assert_eq!(
        permitted(&policies[..1], &["x/a>x/b:80", "y/a>x/b:80"]),
        ["x/a>x/b:80"]
    );
}

#[test]
fn an_exception_of_one_block_does_not_reach_another() {
    let from = |blocks: serde_json::Value| spec!("ingress": [{"from": blocks}]);
    let wide = serde_json::json!({"ipBlock": {"cidr": "10.0.0.0/24", "except": ["10.0.0.3/32"]}});
    let narrow = serde_json::json!({"ipBlock": {"cidr": "10.0.0.3/32"}});
    let attempts = ["y/a>x/a:80", "y/b>x/a:80"];
    assert_eq!(
        permitted(&[from(serde_json::json!([wide]))], &attempts),
        ["y/b>x/a:80"]
    );
    assert_eq!(
        permitted(&[from(serde_json::json!([wide, narrow]))], &attempts),
        attempts
    );
}

#[test]
fn a_port_name_is_the_destinations_and_never_an_address() {
    let ingress = spec!("ingress": [{"ports": [{"port": "web"}]}]);
    assert_eq!(
        permitted(&[ingress], &["x/a>x/b:8002", "x/b>x/a:8001", "x/b>x/a:8002"]),
        ["x/a>x/b:8002", "x/b>x/a:8001"]
    );
    let egress = |to: serde_json::Value| spec!("policyTypes": ["Egress"], "egress": [{"to": to, "ports": [{"port": "web"}]}]);
    let attempts = [
        "x/a>y/a:8003",
        "x/a>y/b:8004",
        "x/a>y/a:8004",
        "x/a>203.0.113.7:8004",
    ];
    assert_eq!(
        permitted(&[egress(serde_json::json!([]))], &attempts),
        ["x/a>y/a:8003", "x/a>y/b:8004"]
    );
    let block = serde_json::json!([{"ipBlock": {"cidr": "0.0.0.0/0"}}]);
    assert_eq!(permitted(&[egress(block)], &attempts), Vec::<&str>::new());
}

#[test]
fn a_pod_that_is_over_and_a_pod_and_itself_are_undefined() {
    let mut snapshot = cluster(&[]);
    let itself = permits(
        &snapshot,
        party(&snapshot, "x/a"),
        party(&snapshot, "x/a"),
        Protocol::Tcp,
        80,
    );
    assert_eq!(itself, Reading::Undefined(Undefined::Itself));
    snapshot.pods[0].phase = Phase::Succeeded;
    let over = permits(
        &snapshot,
        party(&snapshot, "x/a"),
        party(&snapshot, "x/b"),
        Protocol::Tcp,
        80,
    );
    assert_eq!(over, Reading::Undefined(Undefined::NoSuchEnd));
}

#[test]
fn the_own_node_reaches_an_isolated_pod_and_other_nodes_do_not() {
    let snapshot = cluster(&[spec!("podSelector": {})]);
    let node = |name| Party::Node {
        name,
        address: "10.9.0.1".parse().unwrap(),
    };
    let to = party(&snapshot, "x/a");
    assert_eq!(
        permits(&snapshot, node("n1"), to, Protocol::Tcp, 80),
        Reading::Permitted
    );
    let refused = Reading::Refused {
        egress: false,
        ingress: true,
    };
    assert_eq!(permits(&snapshot, node("n2"), to, Protocol::Tcp, 80), refused);
}

fn holds(peers: &Peers, other: std::net::IpAddr) -> bool {
    match peers {
        Peers::Any => true,
        Peers::Listed { blocks, addresses } => {
            addresses.contains(&other) || blocks.iter().any(|block| block.contains(other))
        }
    }
}

fn spans(ports: &Ports, protocol: Protocol, port: u16) -> bool {
    match ports {
        Ports::Any => true,
        Ports::Listed(ranges) => ranges.iter().any(|range| range.contains(protocol, port)),
    }
}

fn posture_permits(posture: &Posture, matches: impl Fn(&Peers, &Ports) -> bool) -> bool {
    let first = |rulings: &[Ruling]| {
        let holding = rulings.iter().find(|one| matches(&one.peers, &one.ports));
        holding.map(|one| one.action)
    };
    match (first(&posture.admin), &posture.isolation) {
        (Some(Action::Accept), _) => true,
        (Some(Action::Deny), _) => false,
        (Some(Action::Pass) | None, Some(isolation)) => isolation
            .accepts
            .iter()
            .any(|accept| matches(&accept.peers, &accept.ports)),
        (Some(Action::Pass) | None, None) => first(&posture.baseline) != Some(Action::Deny),
    }
}

/// What a packet filter made of the flattening would do, which knows addresses only.
fn filter_permits(
    flat: &[PodPostures],
    from: Party<'_>,
    to: Party<'_>,
    protocol: Protocol,
    port: u16,
) -> bool {
    let side = |party: Party<'_>, other: Party<'_>, ingress: bool| {
        flat.iter()
            .find(|pod| {
                party
                    .address()
                    .is_some_and(|address| pod.addresses.contains(&address))
            })
            .is_none_or(|pod| {
                let posture = if ingress { &pod.ingress } else { &pod.egress };
                let other = other.address().unwrap();
                posture_permits(posture, |peers, ports| {
                    holds(peers, other) && spans(ports, protocol, port)
                })
            })
    };
    let own_node = |pod: Party<'_>, node: Party<'_>| match (pod, node) {
        (Party::Pod { pod, .. }, Party::Node { name, .. }) => pod.node.as_deref() == Some(name),
        (Party::Pod { pod, .. }, Party::Pod { pod: other, .. }) => {
            other.host_network && pod.node == other.node
        }
        _ => false,
    };
    side(from, to, false) && (own_node(to, from) || side(to, from, true))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_flattening_is_the_reading(snapshot in generate::snapshots(), questions in generate::questions()) {
        let flat = flatten(&snapshot);
        for question in questions {
            let (from, to) = question.parties(&snapshot);
            if from.address().and(to.address()).is_none() {
                continue;
            }
            let filter = filter_permits(&flat, from, to, question.protocol, question.port);
            match permits(&snapshot, from, to, question.protocol, question.port) {
                Reading::Permitted => prop_assert!(filter, "{from:?} {to:?}"),
                Reading::Refused { .. } => prop_assert!(!filter, "{from:?} {to:?}"),
                Reading::Undefined(_) => {}
            }
        }
    }
}

#[test]
fn the_generator_asks_questions_of_every_answer() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut seen: std::collections::BTreeMap<String, u32> = std::collections::BTreeMap::new();
    for _ in 0..400 {
        let snapshot = generate::snapshots().new_tree(&mut runner).unwrap().current();
        let questions = generate::questions().new_tree(&mut runner).unwrap().current();
        for question in questions {
            let (from, to) = question.parties(&snapshot);
            let answer = match permits(&snapshot, from, to, question.protocol, question.port) {
                Reading::Refused { .. } => "Refused".to_owned(),
                other => format!("{other:?}"),
            };
            *seen.entry(answer).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), 10, "two answers and eight reasons for none: {seen:?}");
    assert!(seen.values().all(|count| *count > 25), "{seen:?}");
}
