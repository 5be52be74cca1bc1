//! The rules on a small cluster: each on what is wrong, and on what only looks like it.

use super::{
    Finding,
    tests_world::{WORLD, check, check_text, cluster_policies, found, policies, words},
};

const DNS: &str = "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}], ports: [{port: 53, protocol: UDP}]}]}";

#[test]
fn half_a_path_is_found_where_nobody_gets_through_and_not_where_somebody_does() {
    let into_db = "{podSelector: {matchLabels: {app: database}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: sql}]}]}";
    let out_of_web = |ports: &str| {
        format!(
            "{{podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Egress], egress: [{{to: [{{podSelector: {{matchLabels: {{app: database}}}}}}], ports: {ports}}}]}}"
        )
    };
    let deny = "{podSelector: {}, policyTypes: [Egress]}";
    check(
        "no egress at all",
        &[into_db, deny, DNS],
        &["NPL002 p1 spec.ingress[0].from[0]"],
    );
    check(
        "egress to the port",
        &[into_db, &out_of_web("[{port: 5432}]"), DNS],
        &[],
    );
    check(
        "egress to a range with it",
        &[into_db, &out_of_web("[{port: 5000, endPort: 6000}]"), DNS],
        &[],
    );
    check(
        "egress beside the port: both halves hang",
        &[into_db, &out_of_web("[{port: 5433}]"), DNS],
        &[
            "NPL002 p1 spec.ingress[0].from[0]",
            "NPL003 p2 spec.egress[0].to[0]",
        ],
    );
    check("not isolated for egress", &[into_db], &[]);
    let all = "{podSelector: {matchLabels: {app: database}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}]}]}";
    check(
        "one of the pods gets through on one port",
        &[all, &out_of_web("[{port: 1, protocol: SCTP}]"), DNS],
        &[],
    );
    check(
        "an egress rule that ingress denies",
        &[
            &out_of_web("[{port: 5432}]"),
            DNS,
            "{podSelector: {matchLabels: {app: database}}, policyTypes: [Ingress]}",
        ],
        &["NPL003 p1 spec.egress[0].to[0]"],
    );
    let hosts = "{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{namespaceSelector: {matchLabels: {team: red}}}]}]}";
    check("a hostNetwork pod among the peers keeps it open", &[hosts], &[]);
}

#[test]
fn a_half_path_comes_with_a_manifest_that_mends_it() {
    let into_db = "{podSelector: {matchLabels: {app: database}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]}";
    let text = format!(
        "{WORLD}{}",
        policies(&[into_db, "{podSelector: {}, policyTypes: [Egress]}", DNS])
    );
    let findings = found(&text, true);
    let manifest = findings[0].manifest.clone().unwrap();
    assert_eq!(
        words(&found(&format!("{text}---\n{manifest}"), true)),
        Vec::<String>::new()
    );
}

#[test]
fn dns_is_missed_only_where_names_are_needed() {
    let web = |to: &str| {
        format!(
            "{{podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Egress], egress: [{{to: {to}}}]}}"
        )
    };
    let db = web("[{podSelector: {matchLabels: {app: database}}}]");
    check(
        "pods by selectors and no DNS",
        &[&db],
        &["NPL004 p1 spec.egress[0]"],
    );
    check("with DNS", &[&db, DNS], &[]);
    check("blocks only", &[&web("[{ipBlock: {cidr: 203.0.113.0/24}}]")], &[]);
    check(
        "a cache at an address",
        &[&db, &web("[{ipBlock: {cidr: 169.254.20.10/32}}]")],
        &[],
    );
    check(
        "everything is open",
        &["{podSelector: {}, policyTypes: [Egress], egress: [{}]}"],
        &[],
    );
    check(
        "TCP alone is not how names are asked for",
        &[
            &db,
            "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: 53}]}]}",
        ],
        &["NPL004 p1 spec.egress[0]"],
    );
    let accept = "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Accept, to: [{namespaces: {}}], protocols: [{udp: {destinationPort: {number: 53}}}]}]}";
    check_text(
        "an administrator lets DNS out",
        &(policies(&[&db]) + &cluster_policies(&[accept])),
        &[],
    );
}

#[test]
fn selectors_that_select_nothing_are_found_with_what_was_meant() {
    let subject =
        |labels: &str| format!("{{podSelector: {{matchLabels: {labels}}}, policyTypes: [Ingress]}}");
    let from =
        |peer: &str| format!("{{podSelector: {{}}, policyTypes: [Ingress], ingress: [{{from: [{peer}]}}]}}");
    check(
        "no such pod",
        &[&subject("{app: wbe}")],
        &["NPL005 p1 spec.podSelector"],
    );
    check("such a pod", &[&subject("{app: web}")], &[]);
    check("the pods of a job that is over", &[&subject("{app: job}")], &[]);
    check(
        "no such peer",
        &[&from("{podSelector: {matchLabels: {app: wbe}}}")],
        &["NPL006 p1 spec.ingress[0].from[0].podSelector"],
    );
    check(
        "no such namespace",
        &[&from("{namespaceSelector: {matchLabels: {team: green}}}")],
        &["NPL006 p1 spec.ingress[0].from[0].namespaceSelector"],
    );
    check(
        "such a namespace",
        &[&from("{namespaceSelector: {matchLabels: {team: red}}}")],
        &[],
    );
    check(
        "pods by what they lack",
        &[&from(
            "{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [x]}]}}",
        )],
        &[],
    );
    let empty = format!("{WORLD}---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: later}}}}\n");
    let to_later = from("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: later}}}");
    let findings = found(&(empty + &policies(&[&to_later])), true);
    assert_eq!(words(&findings), ["NPL007 p1 spec.ingress[0].from[0]"]);
    let meant = found(&format!("{WORLD}{}", policies(&[&subject("{app: wbe}")])), true);
    assert!(meant[0].fix.contains("Did you mean app=web?"), "{meant:?}");
}

#[test]
fn what_is_not_in_manifests_may_be_in_the_cluster() {
    let peer = |name: &str| {
        policies(&[&format!(
            "{{podSelector: {{}}, policyTypes: [Ingress], ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}}}]}}]}}"
        )])
    };
    for (name, is_whole, expected) in [
        (
            "monitoring",
            false,
            "NPL007 p1 spec.ingress[0].from[0].namespaceSelector",
        ),
        (
            "monitoring",
            true,
            "NPL006 p1 spec.ingress[0].from[0].namespaceSelector",
        ),
        (
            "kube-sytem",
            false,
            "NPL006 p1 spec.ingress[0].from[0].namespaceSelector",
        ),
    ] {
        assert_eq!(
            words(&found(&format!("{WORLD}{}", peer(name)), is_whole)),
            [expected]
        );
    }
    assert_eq!(
        found(&peer("monitoring"), true),
        [],
        "policies alone say nothing about pods"
    );
}

#[test]
fn or_where_and_was_meant_is_told_from_or_that_is_meant() {
    let from =
        |peers: &str| format!("{{podSelector: {{}}, policyTypes: [Ingress], ingress: [{{from: {peers}}}]}}");
    let red = "namespaceSelector: {matchLabels: {team: red}}";
    let probe = "podSelector: {matchLabels: {app: probe}}";
    check(
        "a dash too many",
        &[&from(&format!("[{{{red}}}, {{{probe}}}]"))],
        &["NPL008 p1 spec.ingress[0].from[1]"],
    );
    check(
        "the other way round",
        &[&from(&format!("[{{{probe}}}, {{{red}}}]"))],
        &["NPL008 p1 spec.ingress[0].from[0]"],
    );
    check("one entry", &[&from(&format!("[{{{red}, {probe}}}]"))], &[]);
    check(
        "pods of both places",
        &[&from(&format!(
            "[{{{red}}}, {{podSelector: {{matchLabels: {{app: web}}}}}}]"
        ))],
        &[],
    );
    check(
        "pods of neither place",
        &[&from(&format!(
            "[{{{red}}}, {{podSelector: {{matchLabels: {{app: zzzzz}}}}}}]"
        ))],
        &["NPL006 p1 spec.ingress[0].from[1].podSelector"],
    );
}

#[test]
fn port_names_are_looked_for_where_they_must_be_declared() {
    let into = |app: &str, port: &str| {
        format!(
            "{{podSelector: {{matchLabels: {{app: {app}}}}}, policyTypes: [Ingress], ingress: [{{ports: [{port}]}}]}}"
        )
    };
    let out = |to: &str, port: &str| {
        format!("{{podSelector: {{}}, policyTypes: [Egress], egress: [{{to: {to}, ports: [{port}]}}]}}")
    };
    check("declared", &[&into("web", "{port: http}")], &[]);
    check(
        "declared by others only",
        &[&into("web", "{port: sql}")],
        &["NPL009 p1 spec.ingress[0].ports[0].port"],
    );
    check(
        "declared with UDP",
        &[&into("database", "{port: stats}")],
        &["NPL010 p1 spec.ingress[0].ports[0].port"],
    );
    check(
        "asked for with UDP",
        &[&into("database", "{port: stats, protocol: UDP}")],
        &[],
    );
    let db = "[{podSelector: {matchLabels: {app: database}}}]";
    check(
        "declared by the destination",
        &[&out(db, "{port: sql}"), DNS],
        &[],
    );
    check(
        "declared by the source",
        &[&out(db, "{port: http}"), DNS],
        &["NPL009 p1 spec.egress[0].ports[0].port"],
    );
    check(
        "a block has no names",
        &[&out("[{ipBlock: {cidr: 203.0.113.0/24}}]", "{port: http}")],
        &["NPL011 p1 spec.egress[0].ports[0].port"],
    );
    check("towards anybody", &[&out("[]", "{port: http}"), DNS], &[]);
}

#[test]
fn blocks_are_held_against_themselves_and_the_pods() {
    let from = |block: &str| {
        format!("{{podSelector: {{}}, policyTypes: [Ingress], ingress: [{{from: [{{ipBlock: {block}}}]}}]}}")
    };
    let cidr = "spec.ingress[0].from[0].ipBlock.cidr";
    let except = "spec.ingress[0].from[0].ipBlock.except[0]";
    check(
        "outside addresses",
        &[&from("{cidr: 203.0.113.0/24, except: [203.0.113.8/29]}")],
        &[],
    );
    check(
        "an exception elsewhere",
        &[&from("{cidr: 203.0.113.0/24, except: [198.51.100.0/25]}")],
        &[&format!("NPL012 p1 {except}")],
    );
    check(
        "an exception of all",
        &[&from("{cidr: 203.0.113.0/24, except: [203.0.113.0/24]}")],
        &[&format!("NPL012 p1 {except}")],
    );
    check(
        "host bits",
        &[&from("{cidr: 203.0.113.7/24}")],
        &[&format!("NPL013 p1 {cidr}")],
    );
    check(
        "leading zeros",
        &[&from("{cidr: 203.000.113.0/24}")],
        &[&format!("NPL013 p1 {cidr}")],
    );
    check(
        "IPv6 as it may be written",
        &[&from("{cidr: '2001:DB8:0::/48'}")],
        &[],
    );
    check(
        "IPv4 in IPv6",
        &[&from("{cidr: '::ffff:203.0.113.0/120'}")],
        &[&format!("NPL013 p1 {cidr}")],
    );
    check(
        "no block",
        &[&from("{cidr: everywhere}")],
        &[&format!("NPL001 p1 {cidr}")],
    );
    check(
        "pods in it",
        &[&from("{cidr: 10.0.0.0/8}")],
        &["NPL014 p1 spec.ingress[0].from[0].ipBlock"],
    );
    check(
        "pods excepted",
        &[&from("{cidr: 10.0.0.0/8, except: [10.0.0.0/24]}")],
        &[],
    );
}

#[test]
fn directions_that_are_not_listed_are_found() {
    for (claim, spec, expected) in [
        (
            "egress rules",
            "{podSelector: {}, policyTypes: [Ingress], egress: [{}]}",
            &["NPL015 p1 spec.egress"][..],
        ),
        (
            "ingress rules",
            "{podSelector: {}, policyTypes: [Egress], ingress: [{}], egress: [{}]}",
            &["NPL015 p1 spec.ingress"],
        ),
        (
            "an empty egress",
            "{podSelector: {}, egress: []}",
            &["NPL016 p1 spec.egress"],
        ),
        (
            "an empty ingress",
            "{podSelector: {}, policyTypes: [Egress], ingress: [], egress: [{}]}",
            &["NPL016 p1 spec.ingress"],
        ),
        (
            "an empty ingress that is listed",
            "{podSelector: {}, policyTypes: [Ingress], ingress: []}",
            &[],
        ),
        (
            "egress that is there by its rules",
            "{podSelector: {}, egress: [{}]}",
            &[],
        ),
        (
            "both listed",
            "{podSelector: {}, policyTypes: [Ingress, Egress], egress: [{}]}",
            &[],
        ),
    ] {
        check(claim, &[spec], expected);
    }
}

#[test]
fn rules_and_policies_that_add_nothing_are_found_once() {
    let web = "{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}";
    let wider = "{from: [{podSelector: {}}], ports: [{port: 1, endPort: 1000}, {port: 53, protocol: UDP}]}";
    let ingress = |subject: &str, rules: &[&str]| {
        format!(
            "{{podSelector: {subject}, policyTypes: [Ingress], ingress: [{}]}}",
            rules.join(", ")
        )
    };
    check(
        "in one policy",
        &[&ingress("{}", &[web, wider])],
        &["NPL020 p1 spec.ingress[0]"],
    );
    check(
        "in a policy for all pods",
        &[
            &ingress("{matchLabels: {app: database}}", &[web]),
            &ingress("{}", &[wider]),
        ],
        &["NPL020 p1 spec.ingress[0]"],
    );
    check(
        "in a policy for other pods",
        &[
            &ingress("{}", &[web]),
            &ingress("{matchLabels: {app: database}}", &[wider]),
        ],
        &[],
    );
    check(
        "the same twice",
        &[&ingress("{}", &[web, web])],
        &["NPL020 p1 spec.ingress[1]"],
    );
    check(
        "other ports",
        &[&ingress(
            "{}",
            &[
                web,
                "{from: [{podSelector: {}}], ports: [{port: 80, protocol: UDP}]}",
            ],
        )],
        &[],
    );
    check(
        "a policy twice",
        &[&ingress("{}", &[web]), &ingress("{}", &[web])],
        &["NPL021 p2 -"],
    );
    check(
        "open to all beside it",
        &[&ingress("{}", &[web, "{}"])],
        &["NPL019 p1 spec.ingress[1]"],
    );
    check("open to all alone", &[&ingress("{}", &["{}"])], &[]);
}

#[test]
fn hostnetwork_pods_are_pointed_out() {
    let at_home = |spec: &str| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: h, namespace: other}}\nspec: {spec}\n"
        )
    };
    check_text(
        "only such",
        &at_home("{podSelector: {matchLabels: {app: agent}}, policyTypes: [Ingress]}"),
        &["NPL022 h spec.podSelector"],
    );
    check_text(
        "such too",
        &at_home("{podSelector: {}, policyTypes: [Ingress]}"),
        &["NPL023 h spec.podSelector"],
    );
    check_text(
        "none such",
        &at_home("{podSelector: {matchLabels: {app: probe}}, policyTypes: [Ingress]}"),
        &[],
    );
    let from = |labels: &str| {
        at_home(&format!(
            "{{podSelector: {{matchLabels: {{app: probe}}}}, policyTypes: [Ingress], ingress: [{{from: [{{podSelector: {labels}}}]}}]}}"
        ))
    };
    check_text(
        "only such as peers",
        &from("{matchLabels: {app: agent}}"),
        &["NPL024 h spec.ingress[0].from[0]"],
    );
    check_text("such too as peers", &from("{}"), &[]);
}

#[test]
fn pods_and_namespaces_without_policies_are_worth_knowing() {
    let codes = |specs: &[&str]| -> Vec<String> {
        let findings = found(&format!("{WORLD}{}", policies(specs)), true);
        let infos = findings.into_iter().filter(|it| it.place.is_none());
        infos
            .map(|it| format!("{} {}", it.code, it.object.unwrap()))
            .collect()
    };
    let others = ["NPL018 Namespace kube-system", "NPL018 Namespace other"];
    assert_eq!(codes(&["{podSelector: {}}"]), others);
    let mut with_shop = others.to_vec();
    with_shop.push("NPL017 Namespace shop");
    let mut found = codes(&["{podSelector: {matchLabels: {app: web}}}"]);
    found.sort();
    with_shop.sort_unstable();
    assert_eq!(found, with_shop);
    assert_eq!(codes(&[]), Vec::<String>::new(), "no policy, no word");
}

#[test]
fn administrators_contradictions_and_dead_rules_are_found() {
    let cnp = |priority: u16, rules: &str| {
        format!("{{tier: Admin, priority: {priority}, subject: {{namespaces: {{}}}}, ingress: [{rules}]}}")
    };
    let all = |action: &str| format!("{{action: {action}, from: [{{namespaces: {{}}}}]}}");
    let tcp = |action: &str| {
        format!(
            "{{action: {action}, from: [{{pods: {{namespaceSelector: {{}}, podSelector: {{matchLabels: {{app: web}}}}}}}}], protocols: [{{tcp: {{destinationPort: {{number: 80}}}}}}]}}"
        )
    };
    for (claim, specs, expected) in [
        (
            "a contradiction",
            vec![cnp(5, &all("Deny")), cnp(5, &tcp("Accept"))],
            vec!["NPL025 c2 spec.priority"],
        ),
        (
            "another priority",
            vec![cnp(5, &all("Deny")), cnp(6, &tcp("Accept"))],
            vec![],
        ),
        (
            "the same action",
            vec![cnp(5, &all("Deny")), cnp(5, &tcp("Deny"))],
            vec![],
        ),
        (
            "a rule behind a wider one",
            vec![cnp(5, &format!("{}, {}", all("Deny"), tcp("Accept")))],
            vec!["NPL026 c1 spec.ingress[1]"],
        ),
        (
            "a rule before a wider one",
            vec![cnp(5, &format!("{}, {}", tcp("Accept"), all("Deny")))],
            vec![],
        ),
    ] {
        let specs: Vec<&str> = specs.iter().map(String::as_str).collect();
        check_text(claim, &cluster_policies(&specs), &expected);
    }
    let egress = |rules: &str| {
        format!("{{tier: Baseline, priority: 5, subject: {{namespaces: {{}}}}, egress: [{rules}]}}")
    };
    let deny = "{action: Deny, to: [{networks: [0.0.0.0/0]}]}";
    check_text(
        "Deny to all addresses",
        &cluster_policies(&[&egress(deny)]),
        &["NPL027 c1 spec.egress[0]"],
    );
    check_text(
        "pods spared before",
        &cluster_policies(&[&egress(&format!(
            "{{action: Accept, to: [{{namespaces: {{}}}}]}}, {deny}"
        ))]),
        &[],
    );
    check_text(
        "Deny to some addresses",
        &cluster_policies(&[&egress("{action: Deny, to: [{networks: [203.0.113.0/24]}]}")]),
        &[],
    );
}

#[test]
fn what_the_reader_and_the_compiler_say_is_found_with_its_line() {
    let text = format!(
        "{WORLD}{}",
        policies(&["\n  podSelector: {}\n  ingress:\n  - ports:\n    - port: 99999\n  engress: []"])
    );
    let findings = found(&text, true);
    assert_eq!(
        words(&findings),
        [
            "NPL001 p1 spec.ingress[0].ports[0].port",
            "NPL001 p1 spec.engress"
        ]
    );
    let lines: Vec<&str> = text.lines().collect();
    let at = |finding: &Finding| lines[finding.place.as_ref().unwrap().line as usize - 1].trim();
    assert_eq!(
        (at(&findings[0]), at(&findings[1])),
        ("- port: 99999", "engress: []")
    );
}

#[test]
fn what_the_api_refuses_is_an_error_and_no_other_rule_reads_it() {
    let ingress = |ports: &str| format!("{{podSelector: {{}}, ingress: [{ports}]}}");
    check(
        "a number in quotes is no port's name that nobody declares",
        &[&ingress("{ports: [{port: '8080'}]}")],
        &["NPL001 p1 spec.ingress[0].ports[0].port"],
    );
    check(
        "an empty protocol is not TCP, so that the rule repeats none",
        &[&ingress(
            "{ports: [{port: 80}]}, {ports: [{port: 80, protocol: ''}]}",
        )],
        &["NPL001 p1 spec.ingress[1].ports[0].protocol"],
    );
}
