//! Kinds beside pods and NetworkPolicies: administrators' policies, Services, workloads.

use std::path::Path;

use super::{
    Action, AdminKind, AdminPeer, AdminPolicy, AdminPort, Backend, Loaded, ObjectName, Snapshot, Tier,
};
use crate::net::Protocol;

fn read(text: &str) -> (Snapshot, Vec<String>) {
    let (snapshot, problems) = Loaded::from_text(text, Path::new("t.yaml")).into_snapshot();
    (snapshot, problems.iter().map(ToString::to_string).collect())
}

fn admin(kind: &str, name: &str, spec: &str) -> (Option<AdminPolicy>, Vec<String>) {
    let version = if kind == "ClusterNetworkPolicy" {
        "v1alpha2"
    } else {
        "v1alpha1"
    };
    let text = format!(
        "{{apiVersion: policy.networking.k8s.io/{version}, kind: {kind}, metadata: {{name: {name}}}, spec: {spec}}}"
    );
    let (snapshot, problems) = read(&text);
    (snapshot.admin.first().map(|it| (*it.object).clone()), problems)
}

fn cnp(spec: &str) -> (Option<AdminPolicy>, Vec<String>) {
    admin("ClusterNetworkPolicy", "it", spec)
}

#[test]
fn a_cluster_network_policy_is_read_whole() {
    let (policy, problems) = cnp(
        "{tier: Admin, priority: 7, subject: {namespaces: {matchLabels: {a: b}}}, \
          ingress: [{name: one, action: Accept, from: [{pods: {namespaceSelector: {}, podSelector: {}}}], \
                     protocols: [{tcp: {destinationPort: {number: 80}}}, {udp: {destinationPort: {range: {start: 5, end: 9}}}}, {sctp: {}}, {destinationNamedPort: web}]}], \
          egress: [{action: Pass, to: [{nodes: {}}, {networks: [10.0.0.0/8]}]}, {action: Deny, to: [{namespaces: {}}]}]}",
    );
    assert_eq!(problems, Vec::<String>::new());
    let policy = policy.unwrap();
    assert_eq!(
        (policy.kind, policy.tier, policy.priority),
        (AdminKind::ClusterNetworkPolicy, Tier::Admin, 7)
    );
    assert_eq!(
        policy.ingress[0].ports,
        [
            AdminPort::Range(Protocol::Tcp, 80, 80),
            AdminPort::Range(Protocol::Udp, 5, 9),
            AdminPort::All(Protocol::Sctp),
            AdminPort::Named("web".into())
        ]
    );
    assert_eq!(policy.egress[0].action, Action::Pass);
    assert!(matches!(policy.egress[0].peers[1], AdminPeer::Networks(_)) && policy.egress[0].ports.is_empty());
}

#[test]
fn the_two_kinds_of_v1alpha1_spell_it_allow_and_ports() {
    let rules = "egress: [{action: Allow, to: [{namespaces: {}}], ports: [{portNumber: {protocol: UDP, port: 53}}, {portRange: {start: 1, end: 2}}, {namedPort: dns}]}]";
    let (policy, problems) = admin(
        "AdminNetworkPolicy",
        "it",
        &format!("{{priority: 0, subject: {{namespaces: {{}}}}, {rules}}}"),
    );
    assert_eq!(problems, Vec::<String>::new());
    let policy = policy.unwrap();
    assert_eq!(policy.egress[0].action, Action::Accept);
    assert_eq!(policy.egress[0].ports[0], AdminPort::Range(Protocol::Udp, 53, 53));
    let baseline = format!("{{subject: {{namespaces: {{}}}}, {rules}}}");
    let (policy, _) = admin("BaselineAdminNetworkPolicy", "default", &baseline);
    assert_eq!(policy.unwrap().tier, Tier::Baseline);
    let (policy, problems) = admin("BaselineAdminNetworkPolicy", "other", &baseline);
    assert!(
        policy.is_none() && problems[0].contains("named default"),
        "{problems:?}"
    );
}

#[test]
fn what_the_crd_would_refuse_is_left_out_and_said() {
    for (spec, expected) in [
        (
            "{tier: Middle, priority: 1, subject: {namespaces: {}}}",
            "Admin or Baseline",
        ),
        (
            "{tier: Admin, priority: 1001, subject: {namespaces: {}}}",
            "0 to 1000",
        ),
        ("{tier: Admin, priority: 1, subject: {}}", "exactly one"),
        (
            "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Drop, from: [{namespaces: {}}]}]}",
            "expected Accept, Deny or Pass",
        ),
        (
            "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny}]}",
            "at least one peer",
        ),
        (
            "{tier: Admin, priority: one, subject: {namespaces: {}}}",
            "spec.priority",
        ),
    ] {
        let (policy, problems) = cnp(spec);
        assert!(policy.is_none(), "{spec}");
        assert!(
            problems[0].contains(expected) && problems[0].contains("left out"),
            "{problems:?}"
        );
    }
}

#[test]
fn lists_that_are_too_long_and_names_without_pods_are_refused() {
    let of = |rule: &str| {
        cnp(&format!(
            "{{tier: Admin, priority: 1, subject: {{namespaces: {{}}}}, egress: [{rule}]}}"
        ))
    };
    let many = |entry: &str| vec![entry; 26].join(", ");
    for (rule, says) in [
        (
            format!("{{action: Deny, to: [{}]}}", many("{namespaces: {}}")),
            "26 entries",
        ),
        (
            format!(
                "{{action: Deny, to: [{{namespaces: {{}}}}], protocols: [{}]}}",
                many("{tcp: {}}")
            ),
            "26 entries",
        ),
        (
            "{action: Deny, to: [{networks: [10.0.0.0/8]}], protocols: [{destinationNamedPort: web}]}"
                .to_owned(),
            "goes with pods only",
        ),
    ] {
        let (policy, problems) = of(&rule);
        assert!(policy.is_none() && problems[0].contains(says), "{problems:?}");
    }
    let (policy, problems) = admin(
        "BaselineAdminNetworkPolicy",
        "default",
        "{subject: {namespaces: {}}, egress: [{action: Allow, to: [{domainNames: [a.example]}]}]}",
    );
    assert_eq!(
        policy.unwrap().egress[0].peers,
        [AdminPeer::Unknown],
        "{problems:?}"
    );
}

#[test]
fn what_is_not_known_is_read_as_closed_and_said() {
    for (rule, in_ports) in [
        ("{action: Deny, to: [{clouds: {}}]}", false),
        ("{action: Deny, to: [{networks: [x]}]}", false),
        (
            "{action: Deny, to: [{namespaces: {}}], protocols: [{quic: {}}]}",
            true,
        ),
        (
            "{action: Deny, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {range: {start: 9, end: 9}}}}]}",
            true,
        ),
    ] {
        let (policy, problems) = cnp(&format!(
            "{{tier: Admin, priority: 1, subject: {{namespaces: {{}}}}, egress: [{rule}]}}"
        ));
        let policy = policy.unwrap();
        let rule = &policy.egress[0];
        let unknown = if in_ports {
            rule.ports[0] == AdminPort::Unknown
        } else {
            rule.peers[0] == AdminPeer::Unknown
        };
        assert!(unknown, "{rule:?}");
        assert!(
            problems.iter().any(|it| it.contains("denies all")),
            "{problems:?}"
        );
    }
}

#[test]
fn a_service_is_resolved_by_slices_and_without_them_by_its_selector() {
    const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}, {name: admin, port: 81, targetPort: 9000}]}}";
    const PODS: &str = "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop, labels: {app: web}}, spec: {containers: [{ports: [{name: http, containerPort: 8080}]}]}, status: {podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: shop, labels: {app: web}}, spec: {containers: [{}]}, status: {podIP: 10.0.0.2}}";
    const SLICE: &str = "\n---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}, ports: [{name: http, port: 8081}], endpoints: [{addresses: [10.0.0.1], targetRef: {kind: Pod, name: a}}, {addresses: [10.0.0.9], conditions: {ready: false}}]}";
    let behind = |text: &str, port: usize| {
        let (snapshot, problems) = read(text);
        assert_eq!(problems, Vec::<String>::new());
        let service = snapshot.service(&ObjectName::new("shop", "web")).unwrap();
        let shown = |it: Backend| format!("{} {}", it.pod.map_or_else(String::new, |pod| pod.name), it.port);
        snapshot
            .backends(service, &service.ports[port])
            .into_iter()
            .map(shown)
            .collect::<Vec<_>>()
    };
    let by_selector = format!("{SERVICE}{PODS}");
    assert_eq!(
        behind(&by_selector, 0),
        ["a 8080", "a 8080"],
        "both families; b declares no such port"
    );
    assert_eq!(behind(&by_selector, 1), ["a 9000", "a 9000", "b 9000"]);
    let by_slice = format!("{SERVICE}{PODS}{SLICE}");
    assert_eq!(behind(&by_slice, 0), ["a 8081"]);
    assert_eq!(behind(&by_slice, 1), Vec::<String>::new());
    let headless = by_selector.replace("clusterIP: 10.96.0.1", "clusterIP: None");
    assert_eq!(
        behind(&headless, 1),
        ["a 81", "a 81", "b 81"],
        "nothing translates the port of a headless Service"
    );
}

#[test]
fn a_workload_stands_for_its_pods_until_they_are_there() {
    const DEPLOYMENT: &str = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{ports: [{name: http, containerPort: 80}]}]}}}}";
    let (snapshot, problems) = read(DEPLOYMENT);
    assert_eq!(problems, Vec::<String>::new());
    let pod = &snapshot.pods[0];
    assert_eq!(
        (pod.name.to_string(), pod.labels["app"].as_str(), pod.ports.len()),
        ("shop/web".into(), "web", 1)
    );
    assert_eq!(pod.workload.as_ref().unwrap().to_string(), "Deployment/web");
    let owned = "\n---\n{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-77, namespace: shop, ownerReferences: [{kind: Deployment, name: web, controller: true}]}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: web-77-x, namespace: shop, labels: {pod-template-hash: '77'}, ownerReferences: [{kind: ReplicaSet, name: web-77, controller: true}]}}";
    let (snapshot, problems) = read(&format!("{DEPLOYMENT}{owned}"));
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(snapshot.pods.len(), 1);
    assert_eq!(
        snapshot.pods[0].workload.as_ref().unwrap().to_string(),
        "Deployment/web"
    );
}

#[test]
fn two_workloads_of_one_name_both_stay() {
    let (snapshot, problems) = read(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}\n---\n{apiVersion: batch/v1, kind: CronJob, metadata: {name: web}}",
    );
    assert_eq!(problems, Vec::<String>::new());
    let names: Vec<String> = snapshot.pods.iter().map(|pod| pod.name.to_string()).collect();
    assert_eq!(names, ["default/web", "default/web.cronjob"]);
}

#[test]
fn policies_of_others_are_said_not_to_be_judged() {
    let (_, problems) = read("{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: a}}");
    assert!(problems[0].contains("not judged"), "{problems:?}");
}

#[test]
fn a_field_of_another_kind_or_direction_is_ignored_and_said() {
    let lost = |kind: &str, name: &str, spec: &str| -> Vec<String> {
        let (policy, problems) = admin(kind, name, spec);
        let tier = if kind == "AdminNetworkPolicy" {
            Tier::Admin
        } else {
            Tier::Baseline
        };
        assert_eq!(policy.unwrap().tier, tier);
        let word = |problem: &String| {
            assert!(problem.contains("no such field"), "{problem}");
            problem.split(": ").nth(2).unwrap().to_owned()
        };
        problems.iter().map(word).collect()
    };
    let both = "from: [{namespaces: {}}], to: [{namespaces: {}}]";
    let rules = format!(
        "subject: {{namespaces: {{}}}}, ingress: [{{action: Deny, {both}}}], egress: [{{action: Deny, {both}}}]"
    );
    assert_eq!(
        lost(
            "AdminNetworkPolicy",
            "it",
            &format!("{{tier: Baseline, priority: 7, {rules}}}")
        ),
        ["spec.egress[0].from", "spec.ingress[0].to", "spec.tier"]
    );
    assert_eq!(
        lost(
            "BaselineAdminNetworkPolicy",
            "default",
            "{tier: Admin, priority: 7, subject: {namespaces: {}}}"
        ),
        ["spec.priority", "spec.tier"]
    );
    assert_eq!(
        lost(
            "ClusterNetworkPolicy",
            "it",
            &format!("{{tier: Baseline, priority: 7, {rules}}}")
        ),
        ["spec.egress[0].from", "spec.ingress[0].to"]
    );
}

#[test]
fn a_baseline_rule_is_not_told_to_pass() {
    let spec = "{subject: {namespaces: {}}, ingress: [{action: Pass, from: [{namespaces: {}}]}]}";
    let (policy, problems) = admin("BaselineAdminNetworkPolicy", "default", spec);
    assert!(policy.is_none());
    assert!(
        problems[0].contains("expected Allow or Deny, found \"Pass\""),
        "{problems:?}"
    );
}

#[test]
fn a_template_is_read_as_the_api_server_reads_it_and_named_by_its_own_line() {
    let (snapshot, problems) = read(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: web, labels: {team: }}\nspec:\n  jobTemplate:\n    spec:\n      template:\n        metadata: {labels: {app: }}\n        spec:\n          containers:\n          - ports:\n            - containerPort: 99999",
    );
    assert_eq!(snapshot.pods[0].labels["app"], "");
    assert_eq!(
        problems,
        [
            "t.yaml:12: Pod default/web of its CronJob: spec.jobTemplate.spec.template.spec.containers[0].ports[0].containerPort: expected a port from 1 to 65535, found 99999; the port is left out"
        ]
    );
}
