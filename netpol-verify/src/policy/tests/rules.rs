//! One test a rule of NetworkPolicy v1, named after it.

use super::{
    Direction, Expectation, Unspecified, compile,
    world::{ALL, Case, ask, given},
};
use crate::net::Protocol;

#[test]
fn r01_isolation_is_by_direction_and_policies_add_up() {
    let case = given(&["{podSelector: {matchLabels: {app: api}}, policyTypes: [Ingress]}"]);
    assert!(!case.allows("shop/web", "shop/api", 80));
    assert!(
        case.allows("shop/api", "shop/web", 80),
        "egress of the same pod is not isolated"
    );
    assert!(
        case.allows("shop/web", "shop/db", 80),
        "another pod is not selected"
    );
    assert!(
        case.allows("shop/api", "other/web", 80),
        "a policy reaches no other namespace"
    );
    let allow = "{podSelector: {matchLabels: {app: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}";
    let deny = "{podSelector: {}, policyTypes: [Ingress]}";
    for order in [[allow, deny], [deny, allow]] {
        assert!(given(&order).allows("shop/web", "shop/api", 80));
    }
}

#[test]
fn r02_both_sides_must_let_it_through() {
    let deny = "{podSelector: {}, policyTypes: [Ingress, Egress]}";
    let ingress = "{podSelector: {matchLabels: {app: api}}, ingress: [{}]}";
    let egress = "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{}]}";
    assert!(!given(&[deny, ingress]).allows("shop/web", "shop/api", 80));
    assert!(!given(&[deny, egress]).allows("shop/web", "shop/api", 80));
    let both = given(&[deny, ingress, egress]);
    assert!(both.allows("shop/web", "shop/api", 80));
    assert!(
        !both.allows("shop/api", "shop/web", 80),
        "the way back is a question of its own"
    );
}

#[test]
fn r02_the_answer_names_every_isolating_policy_and_every_allowing_rule() {
    let case = given(&[
        "{podSelector: {}, policyTypes: [Ingress, Egress]}",
        "{podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 1}]}, {}, {from: [{podSelector: {}}]}]}",
    ]);
    let decision = case.set.decide(&ask("shop/web", "shop/api", Protocol::Tcp, 80));
    assert_eq!(decision.expectation, Expectation::Deny);
    assert_eq!(decision.by(), ["shop/np-0 (egress)"]);
    let isolating: Vec<_> = decision
        .ingress
        .isolating
        .iter()
        .map(ToString::to_string)
        .collect();
    let allowing: Vec<_> = decision
        .ingress
        .allowing
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(isolating, ["shop/np-0", "shop/np-1"]);
    assert_eq!(allowing, ["shop/np-1 ingress[1]", "shop/np-1 ingress[2]"]);
}

#[test]
fn r03_missing_policy_types_mean_ingress_and_egress_only_where_it_has_rules() {
    for (spec, ingress, egress) in [
        ("{podSelector: {}}", true, false),
        ("{podSelector: {}, egress: []}", true, false),
        ("{podSelector: {}, egress: [{ports: [{port: 1}]}]}", true, true),
        ("{podSelector: {}, policyTypes: []}", true, false),
        ("{podSelector: {}, policyTypes: [Egress]}", false, true),
        (
            "{podSelector: {}, policyTypes: [Egress], ingress: [{}]}",
            false,
            true,
        ),
        (
            "{podSelector: {}, policyTypes: [Ingress], egress: [{ports: [{port: 1}]}]}",
            true,
            false,
        ),
    ] {
        let case = given(&[spec]);
        let pod = "shop/web".parse().unwrap();
        assert_eq!(case.set.is_isolated(&pod, Direction::Ingress), ingress, "{spec}");
        assert_eq!(case.set.is_isolated(&pod, Direction::Egress), egress, "{spec}");
    }
    let case = given(&["{podSelector: {}, policyTypes: [ingress, Egress]}"]);
    assert!(
        case.problem()
            .contains("spec.policyTypes[0]: \"ingress\" is no policy type")
    );
}

#[test]
fn r04_an_empty_or_absent_pod_selector_selects_the_whole_namespace() {
    for spec in ["{podSelector: {}}", "{policyTypes: [Ingress]}", "{}"] {
        let case = given(&[spec]);
        assert!(!case.allows("shop/web", "shop/api", 80), "{spec}");
        assert!(!case.allows("other/web", "shop/db", 80), "{spec}");
        assert!(case.allows("shop/web", "other/web", 80), "{spec}");
    }
}

#[test]
fn r05_an_empty_list_allows_nothing_and_an_empty_rule_everything() {
    for (rules, open) in [("[]", false), ("[{}]", true)] {
        assert_eq!(
            given(&[&format!("{{{ALL}, ingress: {rules}}}")]).allows("other/bare", "shop/web", 7),
            open
        );
    }
}

#[test]
fn r06_missing_peers_and_ports_mean_any_and_entries_are_or_while_both_are_and() {
    for rule in ["{from: [], ports: []}", "{from: []}", "{ports: []}"] {
        let case = given(&[&format!("{{{ALL}, ingress: [{rule}]}}")]);
        assert!(case.allows("198.51.100.1", "shop/web", 1), "{rule}");
        assert_eq!(
            case.answer(&ask("other/web", "shop/web", Protocol::Sctp, 9)),
            Expectation::Allow,
            "{rule}"
        );
    }
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{podSelector: {{matchLabels: {{app: web}}}}}}, {{podSelector: {{matchLabels: {{app: db}}}}}}], ports: [{{port: 80}}, {{port: 81}}]}}]}}"
    )]);
    assert!(case.allows("shop/web", "shop/api", 80) && case.allows("shop/db", "shop/api", 81));
    assert!(!case.allows("shop/web", "shop/api", 82) && !case.allows("other/bare", "shop/api", 80));
}

#[test]
fn r07_the_three_forms_of_a_peer() {
    let peer = |peer: &str| {
        given(&[&format!(
            "{{podSelector: {{matchLabels: {{app: api}}}}, ingress: [{{from: [{peer}]}}]}}"
        )])
    };
    let who = |case: &Case| {
        ["shop/web", "shop/db", "other/web", "other/bare"].map(|from| case.allows(from, "shop/api", 80))
    };
    let web = "podSelector: {matchLabels: {app: web}}";
    let red = "namespaceSelector: {matchLabels: {team: red}}";
    assert_eq!(who(&peer(&format!("{{{web}}}"))), [true, false, false, false]);
    assert_eq!(who(&peer(&format!("{{{red}}}"))), [false, false, true, true]);
    assert_eq!(
        who(&peer(&format!("{{{red}, {web}}}"))),
        [false, false, true, false],
        "in one entry: and"
    );
    assert_eq!(
        who(&peer(&format!("{{{red}}}, {{{web}}}"))),
        [true, false, true, true],
        "two entries: or"
    );
    assert_eq!(
        who(&peer("{podSelector: {}}")),
        [true, true, false, false],
        "empty is all of the own namespace"
    );
    assert_eq!(who(&peer("{namespaceSelector: {}}")), [true, true, true, true]);
    assert!(
        !peer("{namespaceSelector: {}}").allows("198.51.100.1", "shop/api", 80),
        "selectors are about pods"
    );
}

#[test]
fn r08_a_peer_that_says_nothing_or_too_much_matches_nothing() {
    for (peer, says) in [
        ("{}", "says nothing"),
        ("{podSelector: {}, ipBlock: {cidr: 0.0.0.0/0}}", "excludes"),
    ] {
        let case = given(&[&format!("{{{ALL}, ingress: [{{from: [{peer}]}}]}}")]);
        assert!(
            case.problem().contains("spec.ingress[0].from[0]"),
            "{:?}",
            case.problems
        );
        assert!(case.problem().contains(says), "{:?}", case.problems);
        assert!(!case.allows("shop/web", "shop/api", 80));
    }
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{}}, {{podSelector: {{}}}}]}}]}}"
    )]);
    assert!(
        case.allows("shop/web", "shop/api", 80),
        "the other entry still counts"
    );
}

#[test]
fn r09_a_namespace_is_named_by_its_immutable_label() {
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: other}}}}}}]}}]}}"
    )]);
    assert!(case.allows("other/bare", "shop/web", 80) && !case.allows("shop/api", "shop/web", 80));
}

#[test]
fn r09_a_changed_label_changes_the_answer_of_the_next_compilation() {
    let mut case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{team: blue}}}}}}]}}]}}"
    )]);
    assert!(!case.allows("other/web", "shop/api", 80));
    let namespace = case
        .snapshot
        .namespaces
        .iter_mut()
        .find(|it| it.name == "other")
        .unwrap();
    namespace.labels.insert("team".into(), "blue".into());
    case.set = compile(&case.snapshot).0;
    assert!(case.allows("other/web", "shop/api", 80));
}

#[test]
fn r10_match_expressions_select_as_the_api_says() {
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{namespaceSelector: {{}}, podSelector: {{matchExpressions: [{{key: app, operator: NotIn, values: [web, db]}}]}}}}]}}]}}"
    )]);
    assert!(case.allows("other/bare", "shop/db", 1) && case.allows("shop/api", "shop/db", 1));
    assert!(!case.allows("shop/web", "shop/db", 1));
    let case =
        given(&["{podSelector: {matchExpressions: [{key: app, operator: Near}]}, policyTypes: [Ingress]}"]);
    assert!(
        case.problem().contains("spec.podSelector.matchExpressions[0]"),
        "{:?}",
        case.problems
    );
}

#[test]
fn r11_an_exception_counts_within_its_own_block_only() {
    let block = "{ipBlock: {cidr: 198.51.100.0/24, except: [198.51.100.128/25]}}";
    let case = given(&[&format!("{{{ALL}, ingress: [{{from: [{block}]}}]}}")]);
    assert!(case.allows("198.51.100.1", "shop/web", 80));
    assert!(!case.allows("198.51.100.200", "shop/web", 80));
    assert!(!case.allows("2001:db8::1", "shop/web", 80));
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{block}, {{ipBlock: {{cidr: 198.51.100.200/32}}}}]}}]}}"
    )]);
    assert!(case.allows("198.51.100.200", "shop/web", 80));
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{ipBlock: {{cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}}}]}}]}}"
    )]);
    assert!(
        case.problem()
            .contains("ipBlock.except[0]: 10.0.0.0/8 is no strict subset"),
        "{:?}",
        case.problems
    );
    assert!(!case.allows("10.1.1.1", "shop/web", 80), "fails closed");
}

#[test]
fn r12_a_block_matches_the_addresses_of_pods_too() {
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{ipBlock: {{cidr: 10.0.0.2/32}}}}]}}]}}"
    )]);
    assert!(case.allows("shop/api", "shop/web", 80) && !case.allows("shop/db", "shop/web", 80));
}

#[test]
fn r14_old_spellings_of_blocks_are_taken_and_nonsense_is_not() {
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{ipBlock: {{cidr: 198.051.100.077/24}}}}]}}]}}"
    )]);
    assert!(case.allows("198.51.100.1", "shop/web", 80));
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{ipBlock: {{cidr: 198.51.100.1}}}}]}}]}}"
    )]);
    assert!(case.problem().contains("ipBlock.cidr"), "{:?}", case.problems);
    assert!(!case.allows("198.51.100.1", "shop/web", 80));
}

#[test]
fn r15_each_port_entry_defaults_to_tcp_and_without_port_means_all_of_its_protocol() {
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{ports: [{{port: 53, protocol: UDP}}, {{port: 80}}, {{protocol: SCTP}}]}}]}}"
    )]);
    let allows =
        |protocol, port| case.answer(&ask("other/web", "shop/web", protocol, port)) == Expectation::Allow;
    assert!(allows(Protocol::Udp, 53) && !allows(Protocol::Tcp, 53));
    assert!(allows(Protocol::Tcp, 80) && !allows(Protocol::Udp, 80));
    assert!(allows(Protocol::Sctp, 1) && allows(Protocol::Sctp, 65535));
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{ports: [{{port: 80, protocol: ICMP}}]}}]}}"
    )]);
    assert!(
        case.problem()
            .contains("spec.ingress[0].ports[0].protocol: \"ICMP\""),
        "{:?}",
        case.problems
    );
    assert!(!case.allows("other/web", "shop/web", 80));
}

#[test]
fn r16_a_range_holds_both_its_ends() {
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{ports: [{{port: 8000, endPort: 8010}}]}}]}}"
    )]);
    let open: Vec<u16> = (7999..=8011)
        .filter(|port| case.allows("other/web", "shop/web", *port))
        .collect();
    assert_eq!(open, (8000..=8010).collect::<Vec<u16>>());
    for bad in [
        "port: 80, endPort: 79",
        "port: http, endPort: 90",
        "endPort: 90",
        "port: 0",
        "port: 65536",
        "port: -1",
        "port: 80, endPort: 70000",
    ] {
        let case = given(&[&format!("{{{ALL}, ingress: [{{ports: [{{{bad}}}]}}]}}")]);
        assert!(case.problem().contains("matches nothing"), "{bad}");
        assert!(!case.allows("other/web", "shop/web", 80), "{bad}");
    }
}

/// Found by the comparison with the literal reading: the engine once took the name of the pod behind a block.
#[test]
fn r17_a_name_never_matches_an_egress_block_but_does_for_ingress_from_one() {
    let block = "ipBlock: {cidr: 0.0.0.0/0}";
    let egress = given(&[&format!(
        "{{{ALL}, policyTypes: [Egress], egress: [{{to: [{{{block}}}], ports: [{{port: http}}]}}]}}"
    )]);
    assert!(
        !egress.allows("shop/web", "shop/api", 8080),
        "an address has no names"
    );
    let ingress = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{{block}}}], ports: [{{port: http}}]}}]}}"
    )]);
    assert!(
        ingress.allows("other/web", "shop/api", 8080),
        "the name is the target's own"
    );
}

#[test]
fn r17_a_name_means_each_destination_pods_own_number_and_protocol() {
    let case = given(&[&format!("{{{ALL}, ingress: [{{ports: [{{port: http}}]}}]}}")]);
    assert!(case.allows("other/web", "shop/web", 80) && !case.allows("other/web", "shop/web", 8080));
    assert!(case.allows("other/web", "shop/api", 8080) && !case.allows("other/web", "shop/api", 80));
    let dns = given(&[&format!(
        "{{{ALL}, ingress: [{{ports: [{{port: dns}}, {{port: dns, protocol: UDP}}]}}]}}"
    )]);
    assert_eq!(
        dns.answer(&ask("other/web", "shop/web", Protocol::Udp, 53)),
        Expectation::Allow
    );
    assert!(
        !dns.allows("other/web", "shop/web", 53),
        "declared with UDP, so TCP does not match"
    );
    assert!(!dns.allows("other/web", "shop/api", 53), "a pod without the name");
    let egress = given(&[&format!(
        "{{{ALL}, policyTypes: [Egress], egress: [{{ports: [{{port: http}}]}}]}}"
    )]);
    assert!(
        egress.allows("shop/web", "shop/api", 8080),
        "egress names resolve on the peer"
    );
    assert!(
        !egress.allows("shop/web", "198.51.100.1", 80),
        "an address has no names"
    );
    let quoted = given(&[&format!("{{{ALL}, ingress: [{{ports: [{{port: '80'}}]}}]}}")]);
    assert!(quoted.problem().contains("without quotes") && !quoted.allows("other/web", "shop/web", 80));
}

#[test]
fn r18_a_native_sidecars_name_counts() {
    let case = given(&[&format!("{{{ALL}, ingress: [{{ports: [{{port: http}}]}}]}}")]);
    assert!(case.allows("other/web", "shop/db", 5432));
}

#[test]
fn r21_the_own_node_reaches_a_pod_whatever_isolates_it_and_other_nodes_do_not() {
    let case = given(&["{podSelector: {}, policyTypes: [Ingress, Egress]}"]);
    assert!(case.allows("node-1", "shop/web", 80));
    assert!(!case.allows("node-2", "shop/web", 80));
    let block = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{ipBlock: {{cidr: 192.0.2.2/32}}}}]}}]}}"
    )]);
    assert!(
        block.allows("node-2", "shop/web", 80),
        "another node is an address"
    );
}

#[test]
fn r22_a_pod_towards_its_own_node_is_open_or_unspecified_and_towards_another_plain() {
    let closed = given(&["{podSelector: {}, policyTypes: [Egress]}"]);
    assert_eq!(
        closed.expects("shop/web", "node-1", 80),
        Expectation::Unspecified(Unspecified::PodToOwnNode)
    );
    assert_eq!(closed.expects("shop/web", "node-2", 80), Expectation::Deny);
    assert!(given(&[]).allows("shop/web", "node-1", 80));
}

#[test]
fn r23_a_pods_traffic_to_itself_is_unspecified() {
    let case = given(&["{podSelector: {}, policyTypes: [Ingress, Egress]}"]);
    assert_eq!(
        case.expects("shop/web", "shop/web", 80),
        Expectation::Unspecified(Unspecified::Loopback)
    );
}

/// The API leaves two readings: as any pod, or as its node. What both say is said.
#[test]
fn r24_a_host_network_pod_is_unspecified_where_its_two_readings_differ() {
    let open = Expectation::Unspecified(Unspecified::HostNetwork);
    let closed = given(&["{podSelector: {}, policyTypes: [Ingress, Egress]}"]);
    assert_eq!(
        closed.expects("shop/host", "shop/web", 80),
        open,
        "web's own node, or a pod"
    );
    assert_eq!(
        closed.expects("shop/host", "shop/api", 80),
        Expectation::Deny,
        "another node, or a pod"
    );
    assert_eq!(
        closed.expects("shop/web", "shop/host", 80),
        Expectation::Unspecified(Unspecified::PodToOwnNode),
        "R22 for its own node"
    );
    assert_eq!(closed.expects("shop/api", "shop/host", 80), Expectation::Deny);
    assert_eq!(
        closed.expects("other/bare", "shop/host", 80),
        open,
        "isolated, or a node"
    );
    assert_eq!(
        given(&[]).expects("shop/host", "shop/api", 80),
        Expectation::Allow
    );
    let by_label = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{podSelector: {{matchLabels: {{app: web}}}}}}]}}]}}"
    )]);
    assert_eq!(
        by_label.expects("shop/host", "shop/api", 80),
        open,
        "selectors see it, or not"
    );
    let by_address = given(&[
        "{podSelector: {matchLabels: {app: api}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}",
    ]);
    assert_eq!(
        by_address.expects("shop/host", "shop/api", 80),
        Expectation::Allow
    );
    assert!(
        !closed
            .set
            .is_isolated(&"shop/host".parse().unwrap(), Direction::Ingress)
    );
}

#[test]
fn ends_that_are_no_pods_are_not_restricted() {
    let case = given(&["{podSelector: {}, policyTypes: [Ingress, Egress]}"]);
    assert!(case.allows("198.51.100.1", "node-1", 80) && case.allows("198.51.100.1", "198.51.100.2", 80));
    assert!(case.allows("198.51.100.1", "other/web", 80));
}

#[test]
fn one_invalid_policy_does_not_stop_the_rest() {
    let case = given(&[
        "{podSelector: {matchExpressions: [{key: '', operator: In}]}}",
        "{podSelector: {matchLabels: {app: api}}}",
    ]);
    assert_eq!(case.problems.len(), 1);
    assert!(
        case.allows("shop/web", "shop/db", 80),
        "an unreadable selector selects nothing"
    );
    assert!(!case.allows("shop/web", "shop/api", 80));
}
