//! A live cluster is read through a real API server.

use std::{collections::BTreeMap, fs, net::IpAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use netpol_verify::{
    cluster::{Access, LiveCluster, LiveError, Loaded, Object, Pod, Snapshot},
    net::Protocol,
    policy::{self, Decision, End, PolicySet, Traffic},
};
use netpol_verify_tests::ApiServer;
use serde_json::{Value, json};

use crate::source::workspace;

/// What a context of the server's kubeconfig gives, read from inside its namespace.
pub(crate) fn load(server: &ApiServer, access: &Access) -> Result<Result<Loaded, LiveError>> {
    server.inside(async || LiveCluster::find(access).await?.load().await)
}

/// Where an object is created.
pub(crate) fn collection(object: &Value) -> Result<String> {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
    Ok(match object["kind"].as_str().context("it has no kind")? {
        "Namespace" => "/api/v1/namespaces".to_owned(),
        "Pod" => format!("/api/v1/namespaces/{namespace}/pods"),
        "NetworkPolicy" => format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"),
        other => bail!("where is a {other} created?"),
    })
}

pub(crate) fn namespace(name: &str) -> Value {
    json!({"kind": "Namespace", "metadata": {"name": name}})
}

pub(crate) fn pod(namespace: &str, name: &str, labels: Value) -> Value {
    json!({
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": 8080}]}]},
    })
}

pub(crate) fn create(server: &ApiServer, objects: &[Value]) -> Result<()> {
    for object in objects {
        let (status, answer) = server.ask("POST", &collection(object)?, Some(object.clone()))?;
        // `kube-system` comes with the server.
        ensure!(
            status == 201 || (status == 409 && object["kind"] == "Namespace"),
            "{answer}"
        );
    }
    Ok(())
}

/// Gives pods an address of both families, as a kubelet does; by the order of their names.
fn run_pods(server: &ApiServer, pods: &[Pod]) -> Result<()> {
    for (number, pod) in (1..).zip(pods) {
        let ips = addresses(number).map(|ip| json!({"ip": ip}));
        let status = json!({"status": {"phase": "Running", "podIP": ips[0]["ip"], "podIPs": ips}});
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}/status",
            pod.name.namespace, pod.name.name
        );
        let (code, answer) = server.ask("PATCH", &path, Some(status))?;
        ensure!(code == 200, "{answer}");
    }
    Ok(())
}

fn addresses(number: u8) -> [IpAddr; 2] {
    [
        [10, 244, 0, number].into(),
        [0xfd44, 0, 0, 0, 0, 0, 0, number.into()].into(),
    ]
}

/// Every decision between these pods that a port of the manifests could matter to.
fn decisions(set: &PolicySet, pods: &[Pod]) -> Vec<Decision> {
    let end = |pod: &Pod| End::Pod {
        name: pod.name.clone(),
        address: pod.ips.first().copied(),
    };
    let mut all = Vec::new();
    for (from, to) in pods.iter().flat_map(|from| pods.iter().map(move |to| (from, to))) {
        for (protocol, port) in [
            (Protocol::Tcp, 80),
            (Protocol::Tcp, 8080),
            (Protocol::Tcp, 53),
            (Protocol::Udp, 53),
            (Protocol::Udp, 80),
        ] {
            all.push(set.decide(&Traffic {
                from: end(from),
                to: end(to),
                protocol,
                port,
                via: None,
            }));
        }
    }
    all
}

/// The pods of these namespaces.
fn pods_of(snapshot: &Snapshot, namespaces: &[&str]) -> Vec<Pod> {
    let pods = snapshot.pods.iter();
    pods.filter(|pod| namespaces.contains(&pod.name.namespace.as_str()))
        .cloned()
        .collect()
}

#[test]
fn the_guide_is_the_same_from_the_server_and_from_its_files() -> Result<()> {
    let Some(server) = ApiServer::shared("the_guide_is_the_same_from_the_server_and_from_its_files")? else {
        return Ok(());
    };
    let folder = workspace().join("netpol-verify/scenarios/guide");
    let files: Vec<PathBuf> = ["pods", "default-deny", "allow-dns", "allow-paths"]
        .iter()
        .map(|name| folder.join(name).with_extension("yaml"))
        .collect();
    let mut written = Vec::new();
    for file in &files {
        written.extend(serde_saphyr::from_multiple::<Value>(&fs::read_to_string(file)?)?);
    }
    let (mut from_files, problems) = Loaded::from_paths(&files).into_snapshot();
    ensure!(problems.is_empty(), "{problems:?}");
    create(&server, &written)?;
    run_pods(&server, &from_files.pods)?;
    for (number, pod) in (1..).zip(&mut from_files.pods) {
        pod.ips = addresses(number).to_vec();
    }

    let (from_server, problems) = load(&server, &server.access("admin"))??.into_snapshot();
    assert_eq!(problems, []);
    let spaces = ["netpol-demo", "kube-system"];
    let mut pods = pods_of(&from_server, &spaces);
    for pod in &mut pods {
        ensure!(pod.uid.take().is_some(), "{} has no uid", pod.name);
    }
    assert_eq!(pods, from_files.pods);
    for name in spaces {
        assert_eq!(from_server.namespace(name), from_files.namespace(name));
    }
    let named = |snapshot: &Snapshot| {
        let ours = snapshot
            .policies
            .iter()
            .filter(|policy| spaces.contains(&policy.name().namespace.as_str()));
        ours.map(|policy| (policy.name(), policy.object.spec.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(named(&from_server), named(&from_files));
    let place = &from_server.policies[0].place;
    assert_eq!((place.to_string().as_str(), place.line), ("cluster", 0));

    let ((live, problems), (file, _)) = (policy::compile(&from_server), policy::compile(&from_files));
    assert_eq!(problems, []);
    assert_eq!(decisions(&live, &pods), decisions(&file, &pods));
    Ok(())
}

#[test]
fn what_the_server_stores_means_what_was_written() -> Result<()> {
    let Some(server) = ApiServer::shared("what_the_server_stores_means_what_was_written")? else {
        return Ok(());
    };
    // What the API reads in an old or a careless spelling: fields that are left out, empty, null or unknown.
    let specs = [
        "{podSelector: {matchLabels: {app: a}}, egress: [{ports: [{port: 80}]}]}",
        "{podSelector: {matchLabels: {app: b}}, ingress: [{from: [], ports: []}], egress: []}",
        "{podSelector: {matchLabels: {app: c}}, ingress: [{from: null, ports: [{port: http}, {protocol: UDP}]}]}",
        "{podSelector: {matchLabels: {app: d}}, ingress: [{fromm: [{podSelector: {}}], ports: [{port: 53}]}]}",
        "{podSelector: {matchLabels: {app: e}}, policyTypes: [], egress: [], ingress: []}",
        "{podSelector: {matchLabels: {app: f}}, ingress: [{from: [{podSelector: null, namespaceSelector: {}}]}]}",
        "{podSelector: {matchExpressions: [{key: app, operator: In, values: [g]}]}, ingress: [{from: [{ipBlock: {cidr: 10.244.0.0/30, except: []}}]}]}",
        "{podSelector: {matchLabels: {app: h}}, policyTypes: [Egress]}",
        "{ingress: [{ports: [{port: 53, endPort: 80}]}]}",
    ];
    let mut written = vec![namespace("spelled")];
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        written.push(pod("spelled", name, json!({"app": name})));
    }
    create(&server, &written)?;
    for (number, spec) in specs.iter().enumerate() {
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"namespace": "spelled", "name": format!("p{number}")},
            "spec": serde_saphyr::from_str::<Value>(spec)?,
        });
        let path = collection(&policy)? + "?fieldValidation=Ignore";
        let (status, answer) = server.ask("POST", &path, Some(policy.clone()))?;
        ensure!(status == 201, "{spec}: {answer}");
        written.push(policy);
    }
    let (before, _) = load(&server, &server.access("admin"))??.into_snapshot();
    run_pods(&server, &pods_of(&before, &["spelled"]))?;

    let (stored, problems) = load(&server, &server.access("admin"))??.into_snapshot();
    assert_eq!(problems, [], "the server has dropped what it does not know");
    let (stored_set, problems) = policy::compile(&stored);
    assert_eq!(problems, []);
    for object in &mut written {
        object["apiVersion"] = if object["kind"] == "NetworkPolicy" {
            "networking.k8s.io/v1"
        } else {
            "v1"
        }
        .into();
    }
    let text: Vec<String> = written.iter().map(Value::to_string).collect();
    let (mut typed, problems) = Loaded::from_text(&text.join("\n"), "written".as_ref()).into_snapshot();
    let places: Vec<_> = problems
        .iter()
        .filter_map(|problem| problem.path.as_deref())
        .collect();
    assert_eq!(places, ["spec.ingress[0].fromm"]);
    let pods = pods_of(&stored, &["spelled"]);
    for pod in &mut typed.pods {
        pod.ips = pods
            .iter()
            .find(|it| it.name == pod.name)
            .context("a pod is lost")?
            .ips
            .clone();
    }
    let (typed_set, _) = policy::compile(&typed);
    let answers = decisions(&stored_set, &pods);
    assert_eq!(answers, decisions(&typed_set, &pods));
    let kinds: std::collections::HashSet<_> = answers.iter().map(|answer| answer.expectation).collect();
    assert!(
        kinds.len() > 2,
        "some paths are open, some closed, some a pod's own: {kinds:?}"
    );
    Ok(())
}

#[test]
fn more_pods_than_two_pages_hold_are_all_read() -> Result<()> {
    let Some(server) = ApiServer::shared("more_pods_than_two_pages_hold_are_all_read")? else {
        return Ok(());
    };
    const MANY: usize = 1_150;
    create(&server, &[namespace("many")])?;
    let labels = |number: usize| BTreeMap::from([("number".to_owned(), number.to_string())]);
    let made = (0..MANY).map(|number| pod("many", &format!("p{number}"), json!(labels(number))));
    server.create(made.map(|pod| ("/api/v1/namespaces/many/pods".to_owned(), pod)))?;
    let loaded = load(&server, &server.access("admin"))??;
    assert_eq!(loaded.problems, [], "no pod came twice");
    let (snapshot, _) = loaded.into_snapshot();
    let read: BTreeMap<_, _> = pods_of(&snapshot, &["many"])
        .into_iter()
        .map(|pod| (pod.name.name, pod.labels))
        .collect();
    let expected: BTreeMap<_, _> = (0..MANY)
        .map(|number| (format!("p{number}"), labels(number)))
        .collect();
    assert_eq!(read, expected);
    Ok(())
}

/// Rules that let a user list.
pub(crate) fn rules(rights: &[(&str, &[&str])]) -> Vec<Value> {
    rights
        .iter()
        .map(|(group, resources)| json!({"apiGroups": [group], "resources": resources, "verbs": ["list"]}))
        .collect()
}

/// What there is no answer without.
pub(crate) const NEEDED: [(&str, &[&str]); 2] = [
    ("", &["pods", "namespaces"]),
    ("networking.k8s.io", &["networkpolicies"]),
];

/// A definition of our own, which takes whatever is written.
pub(crate) fn definition(kind: &str, plural: &str, versions: &[&str]) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let versions: Vec<Value> = versions
        .iter()
        .enumerate()
        .map(|(index, name)| json!({"name": name, "served": true, "storage": index == 0, "schema": schema}))
        .collect();
    json!({
        "metadata": {
            "name": format!("{plural}.policy.networking.k8s.io"),
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": "policy.networking.k8s.io",
            "scope": "Cluster",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": versions,
        },
    })
}

#[test]
fn policies_of_administrators_are_read_where_they_are_served() -> Result<()> {
    let Some(server) = ApiServer::start("policies_of_administrators_are_read_where_they_are_served")? else {
        return Ok(());
    };
    let admin = |loaded: &Loaded| -> Vec<String> {
        let admin = loaded
            .objects
            .iter()
            .filter(|object| matches!(object, Object::Admin(_)));
        admin.map(|object| object.key().to_string()).collect()
    };
    let without = load(&server, &server.access("admin"))??;
    assert_eq!((admin(&without), without.problems), (vec![], vec![]));

    const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let defined = [
        definition("AdminNetworkPolicy", "adminnetworkpolicies", &["v1alpha1"]),
        definition(
            "BaselineAdminNetworkPolicy",
            "baselineadminnetworkpolicies",
            &["v9"],
        ),
        definition("ClusterNetworkPolicy", "clusternetworkpolicies", &["v1alpha2"]),
    ];
    server.create(defined.map(|definition| (DEFINITIONS.to_owned(), definition)))?;
    let everyone = json!({"namespaces": {}});
    let policies = [
        (
            "v1alpha1/adminnetworkpolicies",
            json!({"kind": "AdminNetworkPolicy", "apiVersion": "policy.networking.k8s.io/v1alpha1", "metadata": {"name": "first"},
                "spec": {"priority": 1, "subject": everyone, "ingress": [{"action": "Deny", "from": [{"namespaces": {}}]}]}}),
        ),
        (
            "v1alpha2/clusternetworkpolicies",
            json!({"kind": "ClusterNetworkPolicy", "apiVersion": "policy.networking.k8s.io/v1alpha2", "metadata": {"name": "first"},
                "spec": {"tier": "Admin", "priority": 1, "subject": everyone, "ingress": [{"action": "Deny", "from": [{"namespaces": {}}]}]}}),
        ),
    ];
    for (place, policy) in policies {
        // A definition is served a moment after it is there.
        let path = format!("/apis/policy.networking.k8s.io/{place}");
        let mut answer = (0, Value::Null);
        for _ in 0..200 {
            answer = server.ask("POST", &path, Some(policy.clone()))?;
            if answer.0 == 201 {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        ensure!(answer.0 == 201, "{answer:?}");
    }
    // Discovery is told a moment later still.
    for _ in 0..200 {
        let (_, list) = server.ask("GET", "/apis", None)?;
        let groups = list["groups"].as_array().context("no groups")?;
        let group = groups
            .iter()
            .find(|group| group["name"] == "policy.networking.k8s.io");
        if group.is_some_and(|group| group["versions"].as_array().is_some_and(|all| all.len() == 3)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let with = load(&server, &server.access("admin"))??;
    assert_eq!(
        admin(&with),
        ["AdminNetworkPolicy first", "ClusterNetworkPolicy first"]
    );
    let problems: Vec<String> = with.problems.iter().map(ToString::to_string).collect();
    let [other_version] = problems.as_slice() else {
        bail!("{problems:?}")
    };
    assert!(
        other_version.starts_with("cluster: BaselineAdminNetworkPolicy: is served as v9 only"),
        "{other_version}"
    );

    server.grant("reader", &rules(&NEEDED))?;
    let optional: [(&str, &[&str]); 2] = [
        ("", &["nodes", "services"]),
        ("discovery.k8s.io", &["endpointslices"]),
    ];
    server.grant("reader", &rules(&optional))?;
    let loaded = load(&server, &server.access("reader"))??;
    let kinds: Vec<_> = loaded
        .problems
        .iter()
        .filter_map(|problem| problem.object.as_deref())
        .collect();
    assert_eq!(
        kinds,
        [
            "AdminNetworkPolicy",
            "BaselineAdminNetworkPolicy",
            "ClusterNetworkPolicy"
        ]
    );
    assert!(
        loaded.problems[0]
            .message
            .contains("can-i list adminnetworkpolicies.policy.networking.k8s.io "),
        "{}",
        loaded.problems[0]
    );
    Ok(())
}
