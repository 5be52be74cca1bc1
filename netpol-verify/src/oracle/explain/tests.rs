//! Questions and their answers, from the ends to the words.

use std::path::Path;

use super::{Explained, json, schema, text};
use crate::{
    cluster::{Loaded, Snapshot},
    oracle::Question,
    pinned::pinned,
    policy::{Expectation, Intent, PolicySet, Unspecified, compile},
    report::Style,
};

const CLUSTER: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: blue}}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}, status: {addresses: [{type: InternalIP, address: 192.0.2.2}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, spec: {nodeName: n1, containers: [{ports: [{name: http, containerPort: 8080}]}]}, status: {podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: api, namespace: shop, labels: {app: api}}, spec: {nodeName: n2, containers: [{}]}, status: {podIPs: [{ip: 10.0.0.2}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {clusterIP: 10.96.0.7, type: NodePort, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http, nodePort: 30080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: bare, namespace: shop}, spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80, targetPort: http}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: empty, namespace: shop}, spec: {clusterIP: 10.96.0.8, selector: {app: nobody}, ports: [{port: 80}]}}
";

fn cluster(policies: &[&str]) -> (Snapshot, PolicySet) {
    let mut text = CLUSTER.to_owned();
    for (index, spec) in policies.iter().enumerate() {
        text.push_str(&format!(
            "\n---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: p{index}, namespace: shop}}, spec: {spec}}}"
        ));
    }
    let (snapshot, problems) = Loaded::from_text(&text, Path::new("t.yaml")).into_snapshot();
    assert_eq!(problems, []);
    let (set, problems) = compile(&snapshot);
    assert_eq!(problems, []);
    (snapshot, set)
}

fn ask(policies: &[&str], from: &str, to: &str) -> Result<Explained, String> {
    let (snapshot, set) = cluster(policies);
    let question = Question::parse(from, to, "shop").map_err(|error| error.to_string())?;
    Explained::new(&snapshot, &set, question, None).map_err(|error| error.to_string())
}

/// Each answer as `from to port expectation`.
fn answers(policies: &[&str], from: &str, to: &str) -> Vec<String> {
    let explained = ask(policies, from, to).unwrap();
    explained
        .answers
        .iter()
        .map(|answer| {
            format!(
                "{} {} {} {:?}",
                answer.from, answer.to, answer.port, answer.explanation.decision.expectation
            )
        })
        .collect()
}

const INTO_WEB: &str = "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 8080}]}]}";

#[test]
fn r19_a_service_is_its_pods_and_their_port() {
    let asked = answers(&[INTO_WEB], "api", "svc/web:80");
    assert_eq!(
        asked,
        ["shop/api shop/web 8080 Allow"],
        "the Service's own port is nobody's"
    );
    assert_eq!(answers(&[INTO_WEB], "api", "svc/web:http"), asked);
    assert_eq!(answers(&[INTO_WEB], "api", "10.96.0.7:80"), asked);
    assert_eq!(answers(&[INTO_WEB], "api", "svc/web"), asked, "every port it has");
    assert_eq!(
        answers(&[INTO_WEB], "api", "svc/bare:80"),
        ["shop/api shop/web 80 Deny"],
        "a headless Service translates nothing"
    );
}

#[test]
fn r20_a_nodes_port_is_the_service_behind_it_and_may_hide_the_client() {
    let by_client =
        "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: 198.51.100.0/24}}]}]}";
    let asked = answers(&[by_client], "198.51.100.9", "192.0.2.2:30080");
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].contains("shop/web 8080 Unspecified(NatRewriting)"),
        "{asked:?}"
    );
    let asked = answers(&[by_client], "198.51.100.9", "svc/web:80");
    assert!(asked[0].ends_with("Allow"), "{asked:?}");
}

#[test]
fn an_address_is_the_pod_or_the_node_that_has_it() {
    let deny = "{podSelector: {}, policyTypes: [Ingress, Egress]}";
    assert_eq!(
        answers(&[INTO_WEB], "10.0.0.2", "10.0.0.1:8080"),
        ["10.0.0.2 (shop/api) 10.0.0.1 (shop/web) 8080 Allow"]
    );
    assert_eq!(
        answers(&[deny], "192.0.2.1", "web:1"),
        ["192.0.2.1 (node n1) shop/web 1 Allow"],
        "R21"
    );
    assert_eq!(
        answers(&[deny], "203.0.113.1", "web:1"),
        ["203.0.113.1 shop/web 1 Deny"]
    );
}

#[test]
fn a_block_falls_apart_where_policies_do() {
    let egress = "{podSelector: {matchLabels: {app: api}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.128/25]}}]}]}";
    assert_eq!(
        answers(&[egress], "api", "203.0.112.0/23:443"),
        [
            "shop/api 203.0.112.0 to 203.0.112.255 443 Deny",
            "shop/api 203.0.113.0 to 203.0.113.127 443 Allow",
            "shop/api 203.0.113.128 to 203.0.113.255 443 Deny"
        ]
    );
    let explained = ask(&[egress], "api", "203.0.112.0/23:443").unwrap();
    assert_eq!(explained.expectation(), None, "its parts differ");
}

#[test]
fn both_families_are_one_answer_where_they_agree() {
    let (mut snapshot, _) = cluster(&[]);
    snapshot.pods.iter_mut().for_each(|pod| {
        if pod.name.name == "api" {
            pod.ips.push("fd00::2".parse().unwrap());
        }
    });
    let policies = cluster(&[
        "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}",
    ])
    .0
    .policies;
    for (policies, expected) in [(Vec::new(), 1), (policies, 2)] {
        snapshot.policies = policies;
        let (set, _) = compile(&snapshot);
        let question = Question::parse("api", "web:8080", "shop").unwrap();
        let explained = Explained::new(&snapshot, &set, question, None).unwrap();
        assert_eq!(explained.answers.len(), expected);
    }
}

#[test]
fn r25_and_what_is_not_there_are_named_with_what_is() {
    for (from, to, says) in [
        ("nope", "web:80", "there are shop/api, shop/web"),
        ("other/x", "web:80", "there are namespace shop"),
        ("api", "svc/nope:80", "there are shop/bare, shop/empty, shop/web"),
        ("api", "svc/web:81", "it has 80/TCP (http)"),
        ("api", "svc/empty:80", "no pod stands behind"),
        ("api", "web:metrics", "declares no port named"),
        ("203.0.113.1", "203.0.113.2:1", "no end is a pod"),
        ("api", "[fd00::1]:1", "no address family in common"),
        ("api", "web:80/ICMP", "R25"),
    ] {
        let error = ask(&[], from, to).map(|_| ()).unwrap_err();
        assert!(error.contains(says), "{from} {to}: {error}");
    }
}

#[test]
fn without_a_port_every_port_of_the_destination_is_asked() {
    assert_eq!(
        answers(&[INTO_WEB], "web", "api"),
        ["shop/web shop/api 80 Allow", "shop/web shop/api 8080 Allow"],
        "api declares none: those that policies and Services name"
    );
}

#[test]
fn a_pod_to_itself_is_unspecified() {
    let explained = ask(&[], "web", "web:8080").unwrap();
    assert_eq!(
        explained.expectation(),
        Some(Expectation::Unspecified(Unspecified::Loopback))
    );
}

/// The question of the guide's README, and a path that an administrator closes.
#[test]
fn the_words_are_as_pinned() {
    let guide = |files: &[&str]| {
        let paths: Vec<_> = files
            .iter()
            .map(|file| Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(file))
            .collect();
        let (snapshot, problems) = Loaded::from_paths(&paths).into_snapshot();
        assert_eq!(problems, []);
        snapshot
    };
    let mut snapshot = guide(&["guide"]);
    let intent_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/guide/intent.yaml");
    let (intent, problems) = Intent::parse(&std::fs::read_to_string(&intent_file).unwrap(), &intent_file);
    assert_eq!(problems, []);
    let explain = |snapshot: &Snapshot| {
        let (set, _) = compile(snapshot);
        let question = Question::parse("backend", "database:80", "netpol-demo").unwrap();
        Explained::new(snapshot, &set, question, Some(&intent)).unwrap()
    };
    let explained = explain(&snapshot);
    assert!(explained.breaks_intent());
    pinned(
        "src/oracle/explain/pinned/guide.txt",
        &text(&explained, Style::plain()),
    );
    pinned("src/oracle/explain/pinned/guide.json", &json(&explained).unwrap());
    let admin = "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {name: no-database}, spec: {tier: Admin, priority: 10, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}}";
    snapshot.admin = Loaded::from_text(admin, Path::new("a.yaml"))
        .into_snapshot()
        .0
        .admin;
    pinned(
        "src/oracle/explain/pinned/administrators.txt",
        &text(&explain(&snapshot), Style::plain()),
    );
}

#[test]
fn the_document_keeps_to_its_schema() {
    let schema_text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    pinned("schema/explanation.schema.json", &schema_text);
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema_text).unwrap()).unwrap();
    for (from, to) in [
        ("api", "web:80"),
        ("api", "svc/web"),
        ("203.0.113.0/24", "web:1"),
        ("web", "web:1"),
    ] {
        let explained = ask(&[INTO_WEB, "{podSelector: {}, policyTypes: [Egress]}"], from, to).unwrap();
        let document = serde_json::from_str(&json(&explained).unwrap()).unwrap();
        let wrong: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| error.to_string())
            .collect();
        assert!(wrong.is_empty(), "{wrong:?} in {document}");
    }
}
