//! One test a rule of NetworkPolicy v1, named after it, and the explainer and the intent on the same small cluster.

use std::path::Path;

use proptest::prelude::*;

use super::{Direction, End, Expectation, Intent, PolicySet, Traffic, Unspecified, Wanted, compile, explain};
use crate::{
    cluster::{Loaded, Problem, Snapshot},
    net::Protocol,
};

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

struct Case {
    snapshot: Snapshot,
    set: PolicySet,
    problems: Vec<Problem>,
}

/// The world with policies, each given as its `spec` in namespace `shop`.
fn given(specs: &[&str]) -> Case {
    let policies: Vec<String> = specs
        .iter()
        .enumerate()
        .map(|(index, spec)| format!("\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: np-{index}, namespace: shop}}\nspec: {spec}\n"))
        .collect();
    let (snapshot, problems) =
        Loaded::from_text(&(WORLD.to_owned() + &policies.concat()), Path::new("t")).into_snapshot();
    assert_eq!(problems, []);
    let (set, problems) = compile(&snapshot);
    Case {
        snapshot,
        set,
        problems,
    }
}

fn end(text: &str, family: u8) -> End {
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
                    address: address.parse().unwrap(),
                }
            }
        },
    }
}

fn ask(from: &str, to: &str, protocol: Protocol, port: u16) -> Traffic {
    Traffic {
        from: end(from, 4),
        to: end(to, 4),
        protocol,
        port,
    }
}

impl Case {
    fn expects(&self, from: &str, to: &str, port: u16) -> Expectation {
        self.answer(&ask(from, to, Protocol::Tcp, port))
    }

    fn answer(&self, traffic: &Traffic) -> Expectation {
        let decision = self.set.decide(traffic);
        assert_eq!(
            decision.expectation,
            self.set.expect(traffic),
            "both readings of one question agree"
        );
        decision.expectation
    }

    fn allows(&self, from: &str, to: &str, port: u16) -> bool {
        match self.expects(from, to, port) {
            Expectation::Allow => true,
            Expectation::Deny => false,
            Expectation::Unspecified(why) => panic!("{from} -> {to}:{port}: {why:?}"),
        }
    }

    fn problem(&self) -> String {
        assert_eq!(self.problems.len(), 1, "{:?}", self.problems);
        self.problems[0].to_string()
    }
}

const ALL: &str = "podSelector: {}";

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

#[test]
fn r24_host_network_pods_are_unspecified_as_subject_and_as_peer() {
    let case = given(&["{podSelector: {}, policyTypes: [Ingress, Egress]}"]);
    for (from, to) in [
        ("shop/host", "shop/api"),
        ("shop/api", "shop/host"),
        ("shop/host", "shop/host"),
    ] {
        assert_eq!(
            case.expects(from, to, 80),
            Expectation::Unspecified(Unspecified::HostNetwork)
        );
    }
    assert!(
        !case
            .set
            .is_isolated(&"shop/host".parse().unwrap(), Direction::Ingress)
    );
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
        address: "10.0.0.77".parse().unwrap(),
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
        address: "10.0.0.6".parse().unwrap(),
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
    let v6 = Traffic {
        from: end("shop/web", 6),
        to: end("shop/api", 6),
        protocol: Protocol::Tcp,
        port: 80,
    };
    assert_eq!(case.answer(&v6), Expectation::Allow);
    assert!(
        !case.allows("shop/web", "shop/api", 80),
        "the block says nothing of IPv4"
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

const DENY_ALL: &str = "{podSelector: {}, policyTypes: [Ingress, Egress]}";

#[test]
fn the_suggestion_opens_what_was_asked_and_counts_what_else() {
    let case = given(&[DENY_ALL]);
    let traffic = ask("shop/web", "shop/api", Protocol::Tcp, 80);
    let explanation = explain(&case.snapshot, &case.set, &traffic);
    assert_eq!(explanation.closed.len(), 2);
    assert_eq!(explanation.closed[0].policies[0].to_string(), "shop/np-0");
    let suggestion = explanation.suggestion.unwrap();
    assert_eq!(
        suggestion.summary,
        "egress and ingress: let shop/web open TCP/80 to shop/api"
    );
    assert!(suggestion.verified);
    assert_eq!((suggestion.also_opens, suggestion.also_isolates), (0, 0));
    assert!(
        !suggestion.manifest.contains("pod-template-hash"),
        "{}",
        suggestion.manifest
    );
    assert_eq!(suggestion.manifest.matches("kind: NetworkPolicy").count(), 2);
}

#[test]
fn the_suggestion_is_one_policy_for_one_closed_side() {
    let case = given(&[
        DENY_ALL,
        "{podSelector: {matchLabels: {app: api}}, ingress: [{}]}",
    ]);
    let explanation = explain(
        &case.snapshot,
        &case.set,
        &ask("shop/web", "shop/api", Protocol::Tcp, 80),
    );
    let suggestion = explanation.suggestion.unwrap();
    assert_eq!(suggestion.summary, "egress: let shop/web open TCP/80 to shop/api");
    assert_eq!(
        suggestion.manifest,
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: allow-egress-web-to-api-tcp-80
  namespace: shop
spec:
  egress:
  - ports:
    - port: 80
      protocol: TCP
    to:
    - podSelector:
        matchLabels:
          app: api
  podSelector:
    matchLabels:
      app: web
  policyTypes:
  - Egress
"
    );
}

#[test]
fn the_suggestion_reaches_other_namespaces_nodes_and_addresses_in_both_families() {
    let case = given(&[DENY_ALL]);
    for (from, to) in [
        ("other/web", "shop/api"),
        ("other/bare", "shop/api"),
        ("shop/web", "other/web"),
        ("shop/web", "node-2"),
        ("node-2", "shop/web"),
        ("198.51.100.7", "shop/web"),
        ("shop/web", "2001:db8::7"),
    ] {
        let suggestion = explain(&case.snapshot, &case.set, &ask(from, to, Protocol::Udp, 53))
            .suggestion
            .unwrap();
        assert!(suggestion.verified, "{from} -> {to}: {}", suggestion.manifest);
    }
    let suggestion = explain(
        &case.snapshot,
        &case.set,
        &ask("other/bare", "shop/api", Protocol::Tcp, 1),
    )
    .suggestion
    .unwrap();
    assert_eq!(
        suggestion.also_opens, 1,
        "a pod without labels cannot be told from its neighbours: other/web opens too"
    );
}

#[test]
fn nothing_is_suggested_for_what_is_not_denied() {
    let case = given(&[DENY_ALL]);
    for (from, to) in [
        ("other/web", "other/bare"),
        ("shop/web", "shop/web"),
        ("shop/web", "node-1"),
    ] {
        let explanation = explain(&case.snapshot, &case.set, &ask(from, to, Protocol::Tcp, 80));
        assert_eq!(
            (explanation.closed.len(), explanation.suggestion),
            (0, None),
            "{from} -> {to}"
        );
    }
}

#[test]
fn the_suggestion_says_when_it_would_isolate_others() {
    let mut case = given(&[
        "{podSelector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}, policyTypes: [Egress]}",
    ]);
    let mut twin = case
        .snapshot
        .pods
        .iter()
        .find(|pod| pod.name.to_string() == "shop/web")
        .unwrap()
        .clone();
    twin.name.name = "twin".into();
    twin.labels.insert("tier".into(), "x".into());
    twin.ips = vec!["10.0.0.50".parse().unwrap()];
    case.snapshot.pods.push(twin);
    case.set = compile(&case.snapshot).0;
    let suggestion = explain(
        &case.snapshot,
        &case.set,
        &ask("shop/web", "shop/api", Protocol::Tcp, 80),
    )
    .suggestion
    .unwrap();
    assert_eq!((suggestion.verified, suggestion.also_isolates), (true, 1));
}

#[test]
fn labels_that_yaml_takes_for_something_else_survive_the_suggestion() {
    for hostile in [
        "yes",
        "n",
        "1.10",
        "null",
        "0x1f",
        "~",
        "",
        "a: b",
        "- x",
        "# y",
        "2026-11-24",
        ".inf",
        "1e3",
        "'q\"",
        "\u{7f}\n",
        "<<",
        "=",
        "é",
    ] {
        let mut case = given(&[DENY_ALL]);
        for pod in &mut case.snapshot.pods {
            pod.labels.insert("v".into(), hostile.into());
            pod.labels.insert("y".into(), "on".into());
        }
        case.set = compile(&case.snapshot).0;
        let suggestion = explain(
            &case.snapshot,
            &case.set,
            &ask("shop/web", "shop/api", Protocol::Tcp, 80),
        )
        .suggestion
        .unwrap();
        assert!(suggestion.verified, "{hostile:?}: {}", suggestion.manifest);
    }
}

fn intent(text: &str) -> (Intent, Vec<Problem>) {
    Intent::parse(
        &format!("apiVersion: netpol-verify.io/v1alpha1\nkind: Intent\n{text}"),
        Path::new("intent.yaml"),
    )
}

#[test]
fn an_intent_finds_the_policies_that_break_it() {
    let case = given(&[
        DENY_ALL,
        "{podSelector: {matchLabels: {app: api}}, ingress: [{}]}",
    ]);
    let (intent, problems) = intent(
        "paths:\n- {from: shop/web, to: shop/api, port: 80}\nclosed:\n- {from: other/web, to: shop/api, port: 80}\n- {from: other/web, to: shop/db, port: 80}\n",
    );
    assert_eq!(problems, []);
    let checks = intent.check(&case.set, &case.snapshot);
    let seen: Vec<_> = checks
        .iter()
        .map(|it| (it.wanted, it.policy, it.is_break()))
        .collect();
    assert_eq!(
        seen,
        [
            (Wanted::Open, Expectation::Deny, true),
            (Wanted::Closed, Expectation::Allow, true),
            (Wanted::Closed, Expectation::Deny, false),
        ]
    );
    assert_eq!(checks[0].by, ["shop/np-0 (egress)"]);
    assert_eq!(
        checks[0].suggestion.as_ref().unwrap().summary,
        "egress: let shop/web open TCP/80 to shop/api"
    );
}

#[test]
fn a_path_open_in_one_family_only_breaks_an_intent() {
    let case = given(&[&format!(
        "{{{ALL}, ingress: [{{from: [{{ipBlock: {{cidr: 10.0.0.0/8}}}}]}}]}}"
    )]);
    let (intent, _) = intent("paths: [{from: shop/web, to: shop/api, port: 80}]\n");
    assert!(intent.check(&case.set, &case.snapshot)[0].is_break());
}

#[test]
fn a_star_means_every_live_pod_and_never_silently_none() {
    let case = given(&[]);
    let (intent, _) = intent(
        "paths: [{from: other/*, to: shop/api, port: 80}, {from: empty/*, to: shop/api, port: 80}, {from: shop/*, to: shop/web, port: 1}]\n",
    );
    let checks = intent.check(&case.set, &case.snapshot);
    let from: Vec<_> = checks.iter().map(|it| it.from.to_string()).collect();
    assert_eq!(
        from,
        [
            "other/bare",
            "other/web",
            "empty/*",
            "shop/api",
            "shop/db",
            "shop/host"
        ]
    );
    assert_eq!(
        checks[2].policy,
        Expectation::Unspecified(Unspecified::UnknownEnd)
    );
    assert!(!checks.iter().any(super::IntentCheck::is_break));
}

#[test]
fn others_closed_asks_every_pair_that_is_not_listed() {
    let case = given(&[]);
    let (intent, _) = intent(
        "paths: [{from: shop/web, to: shop/api, port: 80}, {from: shop/api, to: shop/db, port: 80}]\nothers: closed\n",
    );
    let checks = intent.check(&case.set, &case.snapshot);
    let closed = checks.iter().filter(|it| it.wanted == Wanted::Closed).count();
    assert_eq!((checks.len(), closed), (6, 4));
    assert!(
        checks
            .iter()
            .filter(|it| it.wanted == Wanted::Closed)
            .all(super::IntentCheck::is_break)
    );
}

#[test]
fn bad_intents_are_reported_with_line_and_key() {
    for (text, says) in [
        (
            "paths:\n- {from: shop/web, to: shop/api, port: 80}\n- {from: web, to: shop/api, port: 80}\n",
            "intent.yaml:5: Intent: paths[1].from",
        ),
        (
            "paths:\n- {from: shop/web, to: shop/api, port: 0}\n",
            "intent.yaml:4: Intent: paths[0].port",
        ),
        (
            "paths:\n- {from: shop/web, to: shop/api, port: 1, protocol: ICMP}\n",
            "paths[0].protocol",
        ),
        (
            "paths:\n- {from: 10.0.0.1, to: 10.0.0.2, port: 1}\n",
            "paths[0].to",
        ),
        ("path: []\n", "unknown field"),
        ("paths:\n- {from: a/b, to: c/d}\n", "port"),
        ("others: open\n", "unknown variant"),
        (
            "paths: [{from: a/b, to: c/d, port: 1}]\nclosed: [{from: a/b, to: c/d, port: 1}]\n",
            "open and closed",
        ),
    ] {
        let (_, problems) = intent(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].to_string().contains(says), "{}", problems[0]);
    }
    for text in [
        "",
        "apiVersion: v1\nkind: Intent\n",
        "nonsense",
        "[",
        "apiVersion: netpol-verify.io/v1alpha1\nkind: Run\n",
    ] {
        let (intent, problems) = Intent::parse(text, Path::new("i"));
        assert_eq!((intent, problems.len()), (Intent::default(), 1), "{text}");
    }
}

/// Small random policies over the labels of [`WORLD`], valid and not.
fn spec() -> impl Strategy<Value = String> {
    let selector = prop_oneof![
        Just("{}"),
        Just("{matchLabels: {app: web}}"),
        Just("{matchLabels: {app: api}}"),
        Just("{matchLabels: {team: red}}"),
        Just("{matchExpressions: [{key: app, operator: DoesNotExist}]}"),
        Just("{matchExpressions: [{key: app, operator: In}]}"),
    ];
    let peer = (selector.clone(), 0..6_u8).prop_map(|(selector, form)| match form {
        0 => format!("{{podSelector: {selector}}}"),
        1 => format!("{{namespaceSelector: {selector}}}"),
        2 => format!("{{namespaceSelector: {{}}, podSelector: {selector}}}"),
        3 => "{ipBlock: {cidr: 10.0.0.0/30}}".to_owned(),
        4 => "{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.1/32]}}".to_owned(),
        _ => "{}".to_owned(),
    });
    let port = prop_oneof![
        Just("{}"),
        Just("{port: 80}"),
        Just("{port: http}"),
        Just("{port: 70, endPort: 90}"),
        Just("{port: 0}")
    ];
    let list = |peers: &'static str| {
        let rule = (
            prop::collection::vec(peer.clone(), 0..3),
            prop::collection::vec(port.clone(), 0..3),
        )
            .prop_map(move |(from, ports)| {
                format!(
                    "{{{peers}: [{}], ports: [{}]}}",
                    from.join(", "),
                    ports.join(", ")
                )
            });
        prop::collection::vec(rule, 0..3).prop_map(|rules| rules.join(", "))
    };
    let types = prop_oneof![
        Just("[]"),
        Just("[Ingress]"),
        Just("[Egress]"),
        Just("[Ingress, Egress]"),
        Just("[x]")
    ];
    (selector, list("from"), list("to"), types).prop_map(|(selector, ingress, egress, types)| {
        format!("{{podSelector: {selector}, policyTypes: {types}, ingress: [{ingress}], egress: [{egress}]}}")
    })
}

const PODS: [&str; 5] = ["shop/web", "shop/api", "shop/db", "other/web", "other/bare"];

proptest! {
    #[test]
    fn the_order_of_policies_never_matters(specs in prop::collection::vec(spec(), 0..4)) {
        let texts: Vec<&str> = specs.iter().map(String::as_str).collect();
        let reversed: Vec<&str> = texts.iter().rev().copied().collect();
        let (a, b) = (given(&texts), given(&reversed));
        for from in PODS {
            for to in PODS {
                prop_assert_eq!(a.expects(from, to, 80), b.expects(from, to, 80));
            }
        }
    }

    #[test]
    fn an_added_allow_never_closes_what_isolated_pods_had_open(specs in prop::collection::vec(spec(), 0..3), more in spec()) {
        let isolate = "{podSelector: {}, policyTypes: [Ingress, Egress]}";
        let mut texts: Vec<&str> = specs.iter().map(String::as_str).chain([isolate]).collect();
        let before = given(&texts);
        texts.push(&more);
        let after = given(&texts);
        for from in PODS {
            for to in PODS {
                if before.expects(from, to, 80) == Expectation::Allow {
                    prop_assert_eq!(after.expects(from, to, 80), Expectation::Allow);
                }
            }
        }
    }

    #[test]
    fn every_denied_pair_has_a_verified_suggestion(specs in prop::collection::vec(spec(), 1..3), from in 0..5_usize, to in 0..5_usize) {
        let texts: Vec<&str> = specs.iter().map(String::as_str).collect();
        let case = given(&texts);
        let traffic = ask(PODS[from], PODS[to], Protocol::Tcp, 80);
        let explanation = explain(&case.snapshot, &case.set, &traffic);
        let denied = explanation.decision.expectation == Expectation::Deny;
        prop_assert_eq!(explanation.suggestion.is_some(), denied);
        prop_assert!(explanation.suggestion.is_none_or(|it| it.verified));
    }
}
