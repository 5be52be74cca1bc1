//! Sections 2 and 3 of the specification: peers and ports of the tiers' rules.

use super::{
    Reading::{Permitted, Undefined},
    Undefined::DomainName,
    tests_world::{EGRESS_REFUSES, INGRESS_REFUSES, about, ask, cnp, policy, v1alpha1},
};

/// A policy of the Admin tier that denies pods of `x` what the peers and protocols in the text say.
fn deny_to(text: &str) -> [String; 1] {
    [cnp(
        "Admin",
        1,
        &format!("egress: [{{action: Deny, to: {text}}}]"),
    )]
}

#[test]
fn one_peer_and_one_port_of_a_rule_suffice_and_both_are_needed() {
    let policies = deny_to(
        "[{namespaces: {matchLabels: {team: blue}}}, {networks: [203.0.113.0/24]}],
         protocols: [{tcp: {destinationPort: {number: 80}}}, {udp: {}}]",
    );
    for refused in ["x/a>y/c:80", "x/a>y/c:9/udp", "x/a>203.0.113.7:80"] {
        assert_eq!(ask(&policies, refused), EGRESS_REFUSES, "{refused}");
    }
    for open in ["x/a>y/c:81", "x/a>x/b:80", "x/a>198.51.100.1:80"] {
        assert_eq!(ask(&policies, open), Permitted, "{open}");
    }
}

#[test]
fn without_ports_a_rule_is_about_all_of_them() {
    let policies = deny_to("[{namespaces: {}}]");
    assert_eq!(ask(&policies, "x/a>y/c:1"), EGRESS_REFUSES);
    assert_eq!(ask(&policies, "x/a>y/c:65535/udp"), EGRESS_REFUSES);
}

#[test]
fn both_ends_of_a_range_belong_to_it() {
    let policies =
        deny_to("[{namespaces: {}}], protocols: [{tcp: {destinationPort: {range: {start: 80, end: 90}}}}]");
    for (port, answer) in [
        (79, Permitted),
        (80, EGRESS_REFUSES),
        (90, EGRESS_REFUSES),
        (91, Permitted),
    ] {
        assert_eq!(ask(&policies, &format!("x/a>y/c:{port}")), answer, "{port}");
    }
    assert_eq!(ask(&policies, "x/a>y/c:80/udp"), Permitted);
}

#[test]
fn the_older_version_spells_ports_and_allow_its_own_way() {
    let ports =
        "[{portNumber: {port: 80}}, {portRange: {protocol: UDP, start: 50, end: 60}}, {namedPort: web}]";
    let rules = format!(
        "priority: 1, egress: [{{action: Allow, to: [{{namespaces: {{}}}}], ports: {ports}}}, {{action: Deny, to: [{{namespaces: {{}}}}]}}]"
    );
    let policies = [v1alpha1("AdminNetworkPolicy", &rules)];
    assert_eq!(ask(&policies, "x/a>y/c:80"), Permitted);
    assert_eq!(ask(&policies, "x/a>y/c:53/udp"), Permitted);
    assert_eq!(ask(&policies, "x/a>y/c:53"), EGRESS_REFUSES);
}

#[test]
fn networks_hold_pods_and_nodes_too() {
    let policies = deny_to("[{networks: [0.0.0.0/0]}]");
    for refused in ["x/a>x/b:80", "x/a>n2:80", "x/a>203.0.113.7:80", "x/a>y/host:80"] {
        assert_eq!(ask(&policies, refused), EGRESS_REFUSES, "{refused}");
    }
    // It is the other family's, and of a pod without an address it is read as holding everything.
    let snapshot = super::tests_world::cluster(&policies);
    let from = super::Party::Pod {
        pod: snapshot.pod(&"x/a".parse().unwrap()).unwrap(),
        address: Some("fd00::1".parse().unwrap()),
    };
    let to = super::Party::Outside("2001:db8::1".parse().unwrap());
    assert_eq!(
        super::permits(&snapshot, from, to, crate::net::Protocol::Tcp, 80),
        Permitted
    );
    assert_eq!(ask(&policies, "x/a>y/new:80"), EGRESS_REFUSES);
}

#[test]
fn nodes_are_selected_by_labels_and_matched_by_all_addresses_of_their_status() {
    let policies = deny_to("[{nodes: {matchLabels: {zone: a}}}]");
    assert_eq!(ask(&policies, "x/b>n1:80"), EGRESS_REFUSES);
    assert_eq!(ask(&policies, "x/b>203.0.113.1:80"), EGRESS_REFUSES);
    assert_eq!(ask(&policies, "x/b>n2:80"), Permitted);
    assert_eq!(ask(&policies, "x/b>y/c:80"), Permitted);
    assert_eq!(ask(&policies, "x/b>y/new:80"), Permitted);
}

#[test]
fn a_host_pod_is_its_nodes_address_and_neither_subject_nor_peer() {
    let everywhere = |rules: &str| {
        let subject = "subject: {pods: {podSelector: {matchLabels: {app: host}}}}";
        [about(&format!("tier: Admin, priority: 1, {subject}, {rules}"))]
    };
    let policies = everywhere("egress: [{action: Deny, to: [{namespaces: {}}]}]");
    assert_eq!(ask(&policies, "y/host>x/b:80"), Permitted);
    let policies = everywhere("ingress: [{action: Deny, from: [{}]}]");
    assert_eq!(ask(&policies, "x/b>y/host:80"), Permitted);
    assert_eq!(ask(&deny_to("[{namespaces: {}}]"), "x/b>y/host:80"), Permitted);
    assert_eq!(
        ask(&deny_to("[{nodes: {matchLabels: {zone: a}}}]"), "x/b>y/host:80"),
        EGRESS_REFUSES
    );
    assert_eq!(
        ask(&deny_to("[{networks: [192.168.0.1/32]}]"), "x/b>y/host:80"),
        EGRESS_REFUSES
    );
    let from_pods = [cnp(
        "Admin",
        1,
        "ingress: [{action: Deny, from: [{namespaces: {}}]}]",
    )];
    assert_eq!(ask(&from_pods, "y/host>x/b:80"), Permitted);
}

#[test]
fn a_port_name_has_the_protocol_of_its_declaration() {
    let policies = deny_to("[{namespaces: {}}], protocols: [{destinationNamedPort: dns}]");
    assert_eq!(ask(&policies, "x/a>x/b:53/udp"), EGRESS_REFUSES);
    assert_eq!(ask(&policies, "x/a>x/b:53"), Permitted);
    assert_eq!(ask(&policies, "x/a>y/c:53/udp"), Permitted);
}

#[test]
fn on_ingress_a_port_name_is_the_subjects() {
    let rules =
        "ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{destinationNamedPort: web}]}]";
    let policies = [cnp("Admin", 1, rules)];
    assert_eq!(ask(&policies, "y/c>x/b:80"), INGRESS_REFUSES);
    assert_eq!(ask(&policies, "y/c>x/a:80"), Permitted);
}

#[test]
fn a_domain_name_may_be_any_outsider_and_nothing_in_the_cluster() {
    let rules = "egress: [{action: Accept, to: [{domainNames: [example.org]}]}, {action: Deny, to: [{networks: [0.0.0.0/0]}]}]";
    let policies = [cnp("Admin", 1, rules)];
    assert_eq!(ask(&policies, "x/a>203.0.113.7:80"), Undefined(DomainName));
    for refused in ["x/a>y/c:80", "x/a>n2:80", "x/a>y/host:80"] {
        assert_eq!(ask(&policies, refused), EGRESS_REFUSES, "{refused}");
    }
}

#[test]
fn a_domain_name_that_changes_nothing_is_no_question() {
    let names = "egress: [{action: Accept, to: [{domainNames: [example.org]}], protocols: [{tcp: {}}]}]";
    let policies = [cnp("Admin", 1, names)];
    assert_eq!(ask(&policies, "x/a>203.0.113.7:80"), Permitted);
    let closed = policy("x", "podSelector: {}, policyTypes: [Egress]");
    let policies = [cnp("Admin", 1, names), closed];
    assert_eq!(ask(&policies, "x/a>203.0.113.7:80/udp"), EGRESS_REFUSES);
    assert_eq!(ask(&policies, "x/a>203.0.113.7:80"), Undefined(DomainName));
}
