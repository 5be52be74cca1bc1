//! Pods' lives, policies' generations, families, and what NetworkPolicy does not have: R26 to R34.

use super::{
    End, Expectation, Traffic, Unspecified, compile,
    world::{ALL, ask, end, given},
};
use crate::{
    cluster::{ClusterState, Object},
    net::Protocol,
};

/// When a CNI gets there is for packets to tell; what is required holds from the first moment, init containers included.
#[test]
fn r26_a_new_pod_is_isolated_from_its_first_moment() {
    let case = given(&["{podSelector: {}, policyTypes: [Ingress]}"]);
    let mut state = ClusterState::default();
    state.apply(case.snapshot.policies.iter().cloned().map(Object::Policy));
    let (mut set, _) = compile(&state.snapshot());
    let new = case.snapshot.pods.iter().find(|pod| pod.name.name == "db");
    let changes = state.apply(new.cloned().map(Object::Pod));
    set.follow(&state, &changes);
    let asked = Traffic::direct(end("198.51.100.1", 4), end("shop/db", 4), Protocol::Tcp, 80);
    assert_eq!(
        set.decide(&asked).expectation,
        Expectation::Deny,
        "pending, and isolated"
    );
}

/// An answer is about a connection that is opened now: nothing of a set remembers what was open before a policy came.
#[test]
fn r27_an_answer_is_about_new_connections_under_the_policies_of_its_generation() {
    let mut case = given(&[]);
    assert!(case.allows("shop/web", "shop/api", 80));
    let mut later = given(&["{podSelector: {}, policyTypes: [Ingress]}"]).snapshot;
    later.generation = case.snapshot.generation + 1;
    case.set = compile(&later).0;
    assert!(!case.allows("shop/web", "shop/api", 80));
    assert_eq!(case.set.generation(), later.generation);
}

#[test]
fn r28_pods_that_are_over_are_neither_subject_nor_peer() {
    let case = given(&["{podSelector: {}, policyTypes: [Ingress, Egress]}"]);
    let unknown = Expectation::Unspecified(Unspecified::UnknownEnd);
    assert_eq!(case.expects("shop/done", "shop/api", 80), unknown);
    assert_eq!(case.expects("shop/api", "shop/done", 80), unknown);
    assert_eq!(case.expects("shop/api", "shop/never", 80), unknown);
    let mut moved = ask("shop/web", "shop/api", Protocol::Tcp, 80);
    moved.to = End::Pod {
        name: "shop/api".parse().unwrap(),
        address: Some("10.0.0.77".parse().unwrap()),
    };
    assert_eq!(case.answer(&moved), unknown, "an address the pod does not have");
}

#[test]
fn r28_a_finished_pods_address_under_a_new_pod_is_the_new_pods() {
    let mut case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{podSelector: {{matchLabels: {{app: web}}}}}}]}}]}}"
    )]);
    let pod = case
        .snapshot
        .pods
        .iter_mut()
        .find(|pod| pod.name.name == "bare")
        .unwrap();
    pod.ips = vec!["10.0.0.6".parse().unwrap()];
    case.set = compile(&case.snapshot).0;
    let from = End::Pod {
        name: "other/bare".parse().unwrap(),
        address: Some("10.0.0.6".parse().unwrap()),
    };
    let traffic = Traffic {
        from,
        ..ask("shop/web", "shop/api", Protocol::Tcp, 80)
    };
    assert_eq!(
        case.answer(&traffic),
        Expectation::Deny,
        "the labels of the finished pod are gone"
    );
}

#[test]
fn r29_pending_pods_with_an_address_count() {
    let case = given(&["{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress]}"]);
    assert!(!case.allows("shop/web", "shop/db", 80));
}

#[test]
fn r30_both_families_are_judged() {
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{ipBlock: {{cidr: 'fd00::/64'}}}}]}}]}}"
    )]);
    let v6 = Traffic::direct(end("shop/web", 6), end("shop/api", 6), Protocol::Tcp, 80);
    assert_eq!(case.answer(&v6), Expectation::Allow);
    assert!(
        !case.allows("shop/web", "shop/api", 80),
        "the block says nothing of IPv4"
    );
}

/// NetworkPolicy has no peers but pods and blocks, and no rule that denies.
#[test]
fn r31_what_network_policy_does_not_have_is_said_and_opens_nothing() {
    for rule in ["{from: [{nodeSelector: {}}]}", "{from: [{serviceSelector: {}}]}"] {
        let case = given(&[&format!("{{{ALL}, ingress: [{rule}]}}")]);
        assert_eq!(
            case.problems.len(),
            2,
            "the field, and the peer that says nothing: {:?}",
            case.problems
        );
        assert!(!case.allows("shop/web", "shop/api", 80));
    }
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{action: Deny, from: [{{podSelector: {{}}}}]}}]}}"
    )]);
    assert!(case.problem().contains("no such field"), "{:?}", case.problems);
    assert!(case.allows("shop/web", "shop/api", 80), "every rule allows");
}

#[test]
fn r32_sctp_is_a_protocol_of_its_own() {
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{ports: [{{port: 81, protocol: SCTP}}]}}]}}"
    )]);
    let says = |protocol| case.answer(&ask("other/web", "shop/web", protocol, 81));
    assert_eq!(says(Protocol::Sctp), Expectation::Allow);
    assert_eq!(
        (says(Protocol::Tcp), says(Protocol::Udp)),
        (Expectation::Deny, Expectation::Deny)
    );
}

/// Each side's policies may be applied at another time: both are in the answer, and which generation they are of.
#[test]
fn r34_each_side_has_its_own_answer_and_the_set_its_generation() {
    let case = given(&["{podSelector: {matchLabels: {app: api}}, policyTypes: [Ingress]}"]);
    let decision = case.set.decide(&ask("shop/web", "shop/api", Protocol::Tcp, 80));
    assert!(decision.egress.is_open() && decision.ingress.is_closed());
    assert_eq!(case.set.generation(), case.snapshot.generation);
}

/// A workload's template runs anywhere: perhaps on the node that asks, which nothing keeps from it.
#[test]
fn r21_a_pod_on_no_node_yet_may_come_to_be_on_the_one_that_asks() {
    let closed = given(&["{podSelector: {}, policyTypes: [Ingress, Egress]}"]);
    let mut case = given(&["{podSelector: {}, policyTypes: [Ingress, Egress]}"]);
    let pod = case.snapshot.pods.iter_mut().find(|pod| pod.name.name == "api");
    pod.unwrap().node = None;
    case.set = compile(&case.snapshot).0;
    for (from, to, why) in [
        ("node-1", "shop/api", Unspecified::NoNode),
        ("shop/api", "node-1", Unspecified::PodToOwnNode),
        ("shop/host", "shop/api", Unspecified::NoNode),
    ] {
        assert_eq!(
            case.expects(from, to, 80),
            Expectation::Unspecified(why),
            "{from} -> {to}"
        );
        assert_eq!(
            closed.expects(from, to, 80),
            Expectation::Deny,
            "{from} -> {to}, on node-2"
        );
    }
    assert_eq!(
        case.expects("shop/web", "shop/api", 80),
        Expectation::Deny,
        "between pods no node matters"
    );
}

/// Manifests may give a pod the address of a node; `nodes` peers go by addresses.
#[test]
fn a_pod_at_a_nodes_address_is_met_by_rules_that_name_nodes() {
    let mut case = super::world::given_with(
        &[],
        &[
            "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{nodes: {}}]}]}",
        ],
    );
    let pod = case.snapshot.pods.iter_mut().find(|pod| pod.name.name == "api");
    pod.unwrap().ips = vec!["192.0.2.2".parse().unwrap()];
    case.set = compile(&case.snapshot).0;
    let to = End::Pod {
        name: "shop/api".parse().unwrap(),
        address: Some("192.0.2.2".parse().unwrap()),
    };
    let traffic = Traffic::direct(end("shop/web", 4), to, Protocol::Tcp, 80);
    assert_eq!(
        case.answer(&traffic),
        Expectation::Deny,
        "by itself and in the matrix"
    );
}
