//! One test a rule of the administrators' policies: tiers, priorities, actions, peers and ports.

use super::{
    Expectation, Traffic, Translation, Unspecified,
    world::{Case, DENY_ALL, ask, end, given, given_with},
};
use crate::net::Protocol;

const EVERYONE: &str = "subject: {namespaces: {}}";
const SHOP: &str = "subject: {namespaces: {matchLabels: {team: blue}}}";
const ANY: &str = "[{namespaces: {}}]";

fn policy(tier: &str, priority: u16, subject: &str, rules: &str) -> String {
    format!("{{tier: {tier}, priority: {priority}, {subject}, {rules}}}")
}

fn ingress(action: &str, from: &str) -> String {
    format!("ingress: [{{action: {action}, from: {from}}}]")
}

fn egress(action: &str, to: &str) -> String {
    format!("egress: [{{action: {action}, to: {to}}}]")
}

fn cluster(specs: &[String]) -> Case {
    with(&[], specs)
}

fn with(policies: &[&str], specs: &[String]) -> Case {
    let specs: Vec<&str> = specs.iter().map(String::as_str).collect();
    given_with(policies, &specs)
}

#[test]
fn the_admin_tier_decides_before_network_policies() {
    let open = policy("Admin", 5, SHOP, &ingress("Accept", ANY));
    let case = with(
        &["{podSelector: {}, policyTypes: [Ingress]}"],
        std::slice::from_ref(&open),
    );
    assert!(
        case.allows("other/web", "shop/api", 80),
        "Accept outweighs the isolation"
    );
    assert!(
        !case.allows("198.51.100.1", "shop/api", 80),
        "what no rule matches goes on to it"
    );
    let closed = policy("Admin", 5, SHOP, &ingress("Deny", ANY));
    let case = with(&["{podSelector: {}, ingress: [{}]}"], &[closed]);
    let decision = case.set.decide(&ask("other/web", "shop/api", Protocol::Tcp, 80));
    assert_eq!(decision.by(), ["ClusterNetworkPolicy cnp-0 ingress[0] Deny"]);
    assert!(case.allows("198.51.100.1", "shop/api", 80));
}

#[test]
fn accept_on_egress_does_not_skip_the_destinations_ingress() {
    let case = with(
        &["{podSelector: {}, policyTypes: [Ingress, Egress]}"],
        &[policy("Admin", 5, EVERYONE, &egress("Accept", ANY))],
    );
    assert!(!case.allows("shop/web", "shop/api", 80));
    assert!(case.allows("shop/web", "other/web", 80), "there nothing isolates");
}

#[test]
fn a_lower_number_and_an_earlier_rule_come_first() {
    let case = cluster(&[
        policy("Admin", 20, SHOP, &ingress("Deny", ANY)),
        policy("Admin", 10, SHOP, &ingress("Accept", ANY)),
    ]);
    assert!(case.allows("other/web", "shop/api", 80));
    let both = format!(
        "ingress: [{{action: Accept, from: {ANY}, protocols: [{{tcp: {{destinationPort: {{number: 80}}}}}}]}}, {{action: Deny, from: {ANY}}}]"
    );
    let case = cluster(&[policy("Admin", 1, SHOP, &both)]);
    assert!(case.allows("other/web", "shop/api", 80) && !case.allows("other/web", "shop/api", 81));
}

#[test]
fn pass_leaves_the_tier() {
    let pass = || policy("Admin", 1, SHOP, &ingress("Pass", ANY));
    let deny = || policy("Admin", 2, SHOP, &ingress("Deny", ANY));
    let baseline = || policy("Baseline", 1, SHOP, &ingress("Deny", ANY));
    assert!(cluster(&[pass(), deny()]).allows("other/web", "shop/api", 80));
    assert!(
        !cluster(&[pass(), baseline()]).allows("other/web", "shop/api", 80),
        "on to the baseline"
    );
    assert!(
        !with(&[DENY_ALL], &[pass()]).allows("other/web", "shop/api", 80),
        "on to NetworkPolicies"
    );
}

#[test]
fn the_baseline_tier_speaks_only_where_no_network_policy_isolates() {
    let deny = policy("Baseline", 1, EVERYONE, &ingress("Deny", ANY));
    let case = with(
        &["{podSelector: {matchLabels: {app: api}}, ingress: [{}]}"],
        &[deny],
    );
    assert!(
        case.allows("other/web", "shop/api", 80),
        "a NetworkPolicy's word is final"
    );
    assert!(!case.allows("other/web", "shop/db", 80));
    assert!(!case.allows("shop/api", "other/web", 80));
}

#[test]
fn a_policy_without_rules_in_a_direction_does_not_touch_it() {
    let case = cluster(&[policy("Admin", 1, SHOP, &ingress("Deny", ANY))]);
    assert!(case.allows("shop/api", "other/web", 80));
    assert!(case.allows("shop/api", "198.51.100.1", 80));
}

#[test]
fn equal_priorities_are_unspecified_where_they_do_not_say_the_same() {
    let accept = policy("Admin", 1, SHOP, &ingress("Accept", ANY));
    let deny = policy("Admin", 1, SHOP, &ingress("Deny", ANY));
    let pass = policy("Admin", 1, SHOP, &ingress("Pass", ANY));
    let open = Expectation::Unspecified(Unspecified::EqualPriority);
    let says = |case: Case| case.expects("other/web", "shop/api", 80);
    assert_eq!(says(cluster(&[accept.clone(), deny.clone()])), open);
    assert_eq!(
        says(cluster(&[accept.clone(), accept.clone()])),
        Expectation::Allow
    );
    assert_eq!(
        says(cluster(&[accept.clone(), pass.clone()])),
        Expectation::Allow,
        "what follows is open"
    );
    assert_eq!(says(with(&[DENY_ALL], &[accept, pass.clone()])), open);
    assert_eq!(
        says(with(&[DENY_ALL], &[deny.clone(), pass.clone()])),
        Expectation::Deny
    );
    assert_eq!(says(cluster(&[deny, pass])), open);
}

#[test]
fn who_decides_is_named_once_on_whatever_ways_it_is_asked() {
    let pass = |priority| {
        policy(
            "Admin",
            priority,
            SHOP,
            &egress("Pass", "[{networks: [10.0.0.0/30]}]"),
        )
    };
    let mut case = with(&[DENY_ALL], &[pass(1), pass(1), pass(2)]);
    let pod = case
        .snapshot
        .pods
        .iter_mut()
        .find(|pod| pod.name.name == "api")
        .unwrap();
    pod.ips.clear();
    case.set = super::compile(&case.snapshot).0;
    let mut to = end("shop/api", 4);
    if let super::End::Pod { address, .. } = &mut to {
        *address = None;
    }
    let decision = case
        .set
        .decide(&Traffic::direct(end("shop/web", 4), to, Protocol::Tcp, 80));
    assert_eq!(
        decision.expectation,
        Expectation::Deny,
        "passed on or not, it ends with the NetworkPolicy"
    );
    assert_eq!(
        (decision.egress.isolating.len(), decision.egress.admin.len()),
        (1, 3)
    );
}

#[test]
fn networks_hit_pods_too_and_nodes_match_by_their_status() {
    let case = cluster(&[policy(
        "Admin",
        1,
        SHOP,
        &egress("Deny", "[{networks: [0.0.0.0/0]}]"),
    )]);
    assert!(!case.allows("shop/web", "shop/api", 80) && !case.allows("shop/web", "198.51.100.1", 80));
    assert!(
        case.allows("shop/web", "2001:db8::1", 80),
        "of the other family it says nothing"
    );
    let case = cluster(&[policy("Admin", 1, SHOP, &egress("Deny", "[{nodes: {}}]"))]);
    assert!(!case.allows("shop/web", "node-2", 80), "another node");
    assert!(
        !case.allows("shop/web", "node-1", 80),
        "its own: a rule that names nodes is no silence (R22)"
    );
    assert_eq!(
        case.expects("shop/api", "shop/host", 80),
        Expectation::Deny,
        "a hostNetwork pod is its node"
    );
    assert!(case.allows("shop/web", "shop/api", 80));
}

#[test]
fn host_network_pods_are_neither_subject_nor_selected() {
    let case = cluster(&[
        policy("Admin", 1, EVERYONE, &ingress("Deny", ANY)),
        policy("Admin", 2, EVERYONE, &egress("Deny", ANY)),
    ]);
    assert_eq!(case.expects("shop/host", "shop/api", 80), Expectation::Allow);
    assert_eq!(case.expects("other/bare", "shop/host", 80), Expectation::Allow);
}

#[test]
fn the_own_node_reaches_a_pod_past_every_tier() {
    let unknown = "ingress: [{action: Deny, from: [{clouds: {}}]}]";
    let case = cluster(&[policy("Admin", 1, SHOP, unknown)]);
    assert!(case.allows("node-1", "shop/web", 80));
    assert!(
        !case.allows("node-2", "shop/web", 80),
        "read as closed, it denies all"
    );
}

#[test]
fn a_named_port_is_the_destination_pods_with_its_own_protocol() {
    let rules = |key: &str| {
        format!(
            "{key}: [{{action: Deny, {}: {ANY}, protocols: [{{destinationNamedPort: http}}, {{destinationNamedPort: dns}}]}}]",
            if key == "ingress" { "from" } else { "to" }
        )
    };
    for key in ["ingress", "egress"] {
        let case = cluster(&[policy("Admin", 1, EVERYONE, &rules(key))]);
        assert!(
            !case.allows("other/web", "shop/web", 80) && case.allows("other/web", "shop/web", 8080),
            "{key}"
        );
        assert!(
            !case.allows("other/web", "shop/api", 8080) && case.allows("other/web", "shop/api", 80),
            "{key}"
        );
        assert!(
            case.allows("other/web", "shop/web", 53),
            "{key}: declared with UDP"
        );
        assert_eq!(
            case.answer(&ask("other/web", "shop/web", Protocol::Udp, 53)),
            Expectation::Deny,
            "{key}"
        );
    }
}

#[test]
fn what_is_read_as_closed_accepts_nothing_and_denies_all() {
    let says = |action: &str, rule: &str| {
        let rules = format!("egress: [{{action: {action}, {rule}}}]");
        let case = with(
            &[DENY_ALL],
            &[
                policy("Admin", 1, SHOP, &rules),
                policy(
                    "Admin",
                    2,
                    EVERYONE,
                    &egress("Accept", "[{networks: ['0.0.0.0/0']}]"),
                ),
            ],
        );
        case.expects("shop/web", "other/web", 80)
    };
    let unknown_peer = "to: [{namespaces: {}}, {clouds: {}}]";
    let unknown_port = "to: [{namespaces: {}}], protocols: [{quic: {}}]";
    for rule in [unknown_peer, unknown_port] {
        assert_eq!(
            says("Accept", rule),
            Expectation::Allow,
            "the next policy decides"
        );
        assert_eq!(says("Deny", rule), Expectation::Deny);
        assert_eq!(says("Pass", rule), Expectation::Deny);
    }
}

#[test]
fn domain_names_leave_open_what_only_they_may_let_through() {
    let accept = "{action: Accept, to: [{domainNames: ['*.example.org']}]}";
    let rules = format!("egress: [{accept}, {{action: Deny, to: [{{networks: ['0.0.0.0/0']}}]}}]");
    let case = cluster(&[policy("Admin", 1, SHOP, &rules)]);
    assert_eq!(
        case.expects("shop/web", "198.51.100.1", 443),
        Expectation::Unspecified(Unspecified::DomainName)
    );
    assert_eq!(
        case.expects("shop/web", "other/web", 443),
        Expectation::Deny,
        "pods have no such names"
    );
    let rules = format!("egress: [{accept}]");
    assert!(cluster(&[policy("Admin", 1, SHOP, &rules)]).allows("shop/web", "198.51.100.1", 443));
}

#[test]
fn r13_a_block_that_holds_only_the_dialled_address_leaves_it_open() {
    let through = |case: &Case, dialled: Option<&str>, rewritten: &[&str]| {
        let traffic = Traffic {
            via: Some(Translation {
                dialled: dialled.map(|text| format!("{text}:80").parse().unwrap()),
                rewritten: rewritten.iter().map(|text| text.parse().unwrap()).collect(),
            }),
            ..ask("shop/web", "other/web", Protocol::Tcp, 80)
        };
        case.answer(&traffic)
    };
    let to = |block: &str| {
        given(&[&format!(
            "{{podSelector: {{}}, policyTypes: [Egress], egress: [{{to: [{{ipBlock: {{cidr: {block}}}}}]}}]}}"
        )])
    };
    let open = Expectation::Unspecified(Unspecified::NatRewriting);
    assert_eq!(through(&to("10.96.0.0/16"), Some("10.96.0.7"), &[]), open);
    assert_eq!(through(&to("10.0.0.0/24"), Some("10.96.0.7"), &[]), open);
    assert_eq!(
        through(&to("10.0.0.0/8"), Some("10.96.0.7"), &[]),
        Expectation::Allow,
        "both"
    );
    assert_eq!(
        through(&to("198.51.100.0/24"), Some("10.96.0.7"), &[]),
        Expectation::Deny,
        "neither"
    );
    let by_label =
        given(&["{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}]}"]);
    assert_eq!(
        through(&by_label, Some("10.96.0.7"), &[]),
        Expectation::Allow,
        "selectors see the pod behind it (R19)"
    );
}

#[test]
fn r20_a_client_that_a_node_hides_is_open_where_the_two_differ() {
    let from = |block: &str| {
        given(&[&format!(
            "{{podSelector: {{}}, ingress: [{{from: [{{ipBlock: {{cidr: {block}}}}}]}}]}}"
        )])
    };
    let asked = |case: &Case, node: &str| {
        let traffic = Traffic {
            via: Some(Translation {
                dialled: None,
                rewritten: vec![node.parse().unwrap()],
            }),
            ..ask("198.51.100.9", "shop/web", Protocol::Tcp, 80)
        };
        case.answer(&traffic)
    };
    let open = Expectation::Unspecified(Unspecified::NatRewriting);
    assert_eq!(asked(&from("198.51.100.0/24"), "192.0.2.2"), open);
    assert_eq!(asked(&from("0.0.0.0/0"), "192.0.2.2"), Expectation::Allow);
    assert_eq!(asked(&from("203.0.113.0/24"), "192.0.2.2"), Expectation::Deny);
    assert_eq!(
        asked(&from("203.0.113.0/24"), "192.0.2.1"),
        open,
        "hidden by its own node, which is let through (R21)"
    );
}

#[test]
fn r20_another_nodes_port_is_that_node_or_the_pod_behind() {
    let asked = |rule: &str, dialled: &str| {
        let case = given(&[&format!(
            "{{podSelector: {{}}, policyTypes: [Egress], egress: [{rule}]}}"
        )]);
        let traffic = Traffic {
            via: Some(Translation {
                dialled: Some(dialled.parse().unwrap()),
                rewritten: Vec::new(),
            }),
            ..ask("shop/web", "other/web", Protocol::Tcp, 80)
        };
        case.answer(&traffic)
    };
    let (own, another) = ("192.0.2.1:30080", "192.0.2.2:30080");
    let open = Expectation::Unspecified(Unspecified::DialledNode);
    let everybody = "{to: [{namespaceSelector: {}}]}";
    assert_eq!(
        asked(everybody, own),
        Expectation::Allow,
        "its own node translates first"
    );
    assert_eq!(asked(everybody, another), open, "a node is no pod");
    assert_eq!(
        asked("{ports: [{port: 80}]}", another),
        open,
        "the pod's port or the node's"
    );
    assert_eq!(asked("{ports: [{port: 30080}]}", another), open);
    assert_eq!(
        asked("{ports: [{port: 80}, {port: 30080}]}", another),
        Expectation::Allow
    );
    assert_eq!(asked("{}", another), Expectation::Allow);
    assert_eq!(
        asked("{to: [{podSelector: {}}]}", another),
        Expectation::Deny,
        "neither is of its namespace"
    );
}

#[test]
fn r23_the_hairpin_through_an_own_service_is_open_but_for_administrators() {
    let hairpin = || Traffic {
        via: Some(Translation {
            dialled: Some("10.96.0.7:80".parse().unwrap()),
            rewritten: Vec::new(),
        }),
        ..ask("shop/web", "shop/web", Protocol::Tcp, 80)
    };
    assert_eq!(given(&[]).answer(&hairpin()), Expectation::Allow);
    assert_eq!(
        given(&[DENY_ALL]).answer(&hairpin()),
        Expectation::Unspecified(Unspecified::Loopback)
    );
    let case = cluster(&[policy("Admin", 1, SHOP, &egress("Deny", ANY))]);
    assert_eq!(case.answer(&hairpin()), Expectation::Deny);
}

#[test]
fn a_pod_without_an_address_may_or_may_not_lie_in_a_block() {
    let ask_about = |block: &str| {
        let mut case = given(&[&format!(
            "{{podSelector: {{}}, ingress: [{{from: [{{ipBlock: {{cidr: {block}}}}}]}}]}}"
        )]);
        let pod = case
            .snapshot
            .pods
            .iter_mut()
            .find(|pod| pod.name.name == "bare")
            .unwrap();
        pod.ips.clear();
        case.set = super::compile(&case.snapshot).0;
        let mut from = end("other/bare", 4);
        if let super::End::Pod { address, .. } = &mut from {
            *address = None;
        }
        case.answer(&Traffic::direct(from, end("shop/web", 4), Protocol::Tcp, 80))
    };
    assert_eq!(
        ask_about("10.0.0.0/24"),
        Expectation::Unspecified(Unspecified::NoAddress)
    );
    assert_eq!(ask_about("0.0.0.0/0"), Expectation::Allow);
}
