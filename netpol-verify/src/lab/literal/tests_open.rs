//! What NetworkPolicy leaves open: hostNetwork pods (R24), the own node (R21, R22), addresses that nobody knows yet.

use super::{
    Party,
    Reading::{Permitted, Undefined},
    Undefined::{HostNetwork, Itself, NoAddress, NoSuchEnd, OwnNode},
    permits,
    tests_world::{EGRESS_REFUSES, INGRESS_REFUSES, ask, ask_of, cluster, party, policy},
};
use crate::{cluster::Phase, net::Protocol};

/// In `x`, ingress from these peers only.
fn from(peers: &str) -> [String; 1] {
    [policy(
        "x",
        &format!("podSelector: {{}}, ingress: [{{from: {peers}}}]"),
    )]
}

#[test]
fn r24_a_host_pod_as_peer_is_undefined_where_selectors_decide() {
    let policies = from("[{namespaceSelector: {}}]");
    assert_eq!(ask(&policies, "y/host>x/b:80"), Undefined(HostNetwork));
    assert_eq!(ask(&policies, "y/c>x/b:80"), Permitted);
}

#[test]
fn r24_a_host_pod_as_peer_is_its_address_in_both_readings() {
    assert_eq!(
        ask(&from("[{ipBlock: {cidr: 192.168.0.0/24}}]"), "y/host>x/b:80"),
        Permitted
    );
    assert_eq!(
        ask(&from("[{ipBlock: {cidr: 10.0.0.0/24}}]"), "y/host>x/b:80"),
        INGRESS_REFUSES
    );
    assert_eq!(
        ask(&from("[{podSelector: {}}]"), "y/host>x/b:80"),
        INGRESS_REFUSES
    );
    assert_eq!(ask(&[], "y/host>x/b:80"), Permitted);
}

#[test]
fn r24_a_host_pod_as_subject_is_undefined_where_it_would_be_closed() {
    let closed = [policy("y", "podSelector: {}, policyTypes: [Ingress, Egress]")];
    assert_eq!(ask(&closed, "x/b>y/host:80"), Undefined(HostNetwork));
    assert_eq!(ask(&closed, "y/host>x/b:80"), Undefined(HostNetwork));
    let open = [policy("y", "podSelector: {}, ingress: [{}], egress: [{}]")];
    assert_eq!(ask(&open, "x/b>y/host:80"), Permitted);
}

#[test]
fn r24_one_reading_holds_for_the_whole_question() {
    // Read as pods, the source may not send; read as nodes, the target may not receive: refused, either way.
    let policies = [
        policy(
            "y",
            "podSelector: {matchLabels: {app: host}}, policyTypes: [Egress]",
        ),
        policy(
            "x",
            "podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]",
        ),
    ];
    assert!(matches!(
        ask(&policies, "y/host>x/b:80"),
        super::Reading::Refused { .. }
    ));
}

#[test]
fn r24_names_of_a_host_pods_ports_are_known_to_one_reading() {
    let egress = |ports: &str| {
        let spec =
            format!("podSelector: {{}}, policyTypes: [Egress], egress: [{{ports: [{{port: {ports}}}]}}]");
        let mut snapshot = cluster(&[policy("x", &spec)]);
        let b = snapshot.pod(&"x/b".parse().unwrap()).unwrap().ports.clone();
        snapshot
            .pods
            .iter_mut()
            .find(|pod| pod.host_network)
            .unwrap()
            .ports = b;
        ask_of(&snapshot, "x/b>y/host:80")
    };
    assert_eq!(egress("80"), Permitted);
    assert_eq!(egress("web"), Undefined(HostNetwork));
    assert_eq!(egress("81"), EGRESS_REFUSES);
}

#[test]
fn r21_the_own_nodes_host_pods_are_let_in_only_by_the_reading_as_nodes() {
    let closed = [policy("x", "podSelector: {}")];
    assert_eq!(ask(&closed, "n1>x/a:80"), Permitted);
    assert_eq!(ask(&closed, "y/host>x/a:80"), Undefined(HostNetwork));
    assert_eq!(ask(&closed, "y/host>x/b:80"), INGRESS_REFUSES);
}

#[test]
fn r22_a_host_pod_on_the_own_node_is_the_own_node_to_one_reading() {
    let closed = [policy("x", "podSelector: {}, policyTypes: [Egress]")];
    assert!(matches!(
        ask(&closed, "x/a>y/host:80"),
        Undefined(HostNetwork | OwnNode)
    ));
    assert_eq!(ask(&closed, "x/b>y/host:80"), EGRESS_REFUSES);
}

#[test]
fn r23_a_pod_and_itself_are_undefined_without_an_address_too() {
    assert_eq!(ask(&[], "x/a>x/a:80"), Undefined(Itself));
    assert_eq!(ask(&[], "y/new>y/new:80"), Undefined(Itself));
}

#[test]
fn a_block_may_hold_a_pod_without_an_address() {
    let block = |block: &str| ask(&from(&format!("[{{ipBlock: {block}}}]")), "y/new>x/a:80");
    assert_eq!(block("{cidr: 10.0.0.0/8}"), Undefined(NoAddress));
    assert_eq!(block("{cidr: 0.0.0.0/0}"), Permitted);
    assert_eq!(block("{cidr: '::/0'}"), Permitted);
    assert_eq!(
        block("{cidr: 0.0.0.0/0, except: [10.0.0.0/8]}"),
        Undefined(NoAddress)
    );
}

#[test]
fn a_block_that_changes_nothing_needs_no_address() {
    let policies = from("[{ipBlock: {cidr: 10.0.0.0/8}}, {namespaceSelector: {}}]");
    assert_eq!(ask(&policies, "y/new>x/a:80"), Permitted);
    let ports = policy(
        "x",
        "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 81}]}]",
    );
    assert_eq!(ask(&[ports], "y/new>x/a:80"), INGRESS_REFUSES);
    assert_eq!(ask(&[], "y/new>x/a:80"), Permitted);
}

#[test]
fn a_pod_without_an_address_meets_both_families() {
    let snapshot = cluster(&[]);
    let new = party(&snapshot, "y/new");
    for address in ["203.0.113.7", "2001:db8::7"] {
        let outside = Party::Outside(address.parse().unwrap());
        assert_eq!(permits(&snapshot, new, outside, Protocol::Tcp, 80), Permitted);
    }
    assert_eq!(ask(&[], "x/b>2001:db8::7:80"), Undefined(NoSuchEnd));
}

#[test]
fn r28_a_pod_that_is_over_or_elsewhere_is_no_end() {
    let mut snapshot = cluster(&[]);
    let pod = snapshot.pod(&"x/a".parse().unwrap()).unwrap().clone();
    let elsewhere = Party::Pod {
        pod: &pod,
        address: Some("10.9.9.9".parse().unwrap()),
    };
    let to = party(&snapshot, "x/b");
    assert_eq!(
        permits(&snapshot, elsewhere, to, Protocol::Tcp, 80),
        Undefined(NoSuchEnd)
    );
    for pod in &mut snapshot.pods {
        pod.phase = Phase::Failed;
    }
    assert_eq!(ask_of(&snapshot, "203.0.113.7>y/new:80"), Undefined(NoSuchEnd));
}
