//! The loader against good, broken and hostile manifests; the state against changes.

use std::{fs, path::Path};

use proptest::prelude::*;

use super::{Change, ClusterState, Loaded, Object, ObjectName, Phase, Pod};
use crate::net::Protocol;

fn load(text: &str) -> Loaded {
    Loaded::from_text(text, Path::new("test.yaml"))
}

fn pods(loaded: &Loaded) -> Vec<&Pod> {
    loaded
        .objects
        .iter()
        .filter_map(|it| {
            if let Object::Pod(pod) = it {
                Some(pod)
            } else {
                None
            }
        })
        .collect()
}

fn problem(text: &str) -> String {
    let problems = load(text).problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: node-1
  containers:
  - ports: [{name: http, containerPort: 8080}, {containerPort: 53, protocol: UDP}]
  initContainers:
  - restartPolicy: Always
    ports: [{name: metrics, containerPort: 9090}]
  - ports: [{name: gone, containerPort: 1}]
status:
  phase: Pending
  podIP: 10.0.0.1
  podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]
";

#[test]
fn a_pod_is_read_with_what_policies_need() {
    let loaded = load(POD);
    assert_eq!(loaded.problems, []);
    let pod = pods(&loaded)[0];
    assert_eq!(pod.name, ObjectName::new("default", "web"));
    assert_eq!(pod.node.as_deref(), Some("node-1"));
    assert_eq!(pod.phase, Phase::Pending);
    assert_eq!(
        pod.ips,
        [
            "10.0.0.1".parse::<std::net::IpAddr>().unwrap(),
            "fd00::1".parse().unwrap()
        ]
    );
}

#[test]
fn r18_native_sidecars_declare_ports_and_plain_init_containers_do_not() {
    let loaded = load(POD);
    let ports: Vec<_> = pods(&loaded)[0]
        .ports
        .iter()
        .map(|it| (it.name.as_deref(), it.port, it.protocol))
        .collect();
    assert_eq!(
        ports,
        [
            (Some("http"), 8080, Protocol::Tcp),
            (None, 53, Protocol::Udp),
            (Some("metrics"), 9090, Protocol::Tcp)
        ]
    );
}

#[test]
fn r09_every_namespace_carries_its_name_even_when_only_mentioned() {
    let text = "
{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {kubernetes.io/metadata.name: forged, team: x}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: b}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: np, namespace: c}, spec: {}}
";
    let (snapshot, problems) = load(text).into_snapshot();
    assert_eq!(problems, []);
    for name in ["a", "b", "c"] {
        let labels = &snapshot.namespace(name).unwrap().labels;
        assert_eq!(
            labels.get("kubernetes.io/metadata.name").map(String::as_str),
            Some(name)
        );
    }
    assert_eq!(snapshot.namespace("a").unwrap().labels["team"], "x");
}

#[test]
fn one_broken_document_does_not_stop_the_rest_and_is_named_by_line() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\nkind: [unclosed\nfoo: }\n--- # more\napiVersion: v1\nkind: Pod\nmetadata:\n  name: b\n";
    let loaded = load(text);
    assert_eq!(pods(&loaded).len(), 2);
    assert_eq!(loaded.problems.len(), 1);
    let line = loaded.problems[0].place.line;
    assert!((5..=6).contains(&line), "{}", loaded.problems[0]);
    assert!(
        !loaded.problems[0].message.contains("line 1"),
        "{}",
        loaded.problems[0]
    );
}

#[test]
fn a_wrong_type_is_named_by_path_and_line() {
    let text =
        "# a comment\napiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n    ok: x\n    app: 1.10\n";
    let message = problem(text);
    assert!(
        message.starts_with("test.yaml:8: Pod default/a: metadata.labels.app: "),
        "{message}"
    );
    assert!(message.contains("expected a string"), "{message}");
}

#[test]
fn a_wrong_type_in_a_list_item_is_named_by_its_own_line() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a}\n- apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n  metadata: {name: p}\n  spec:\n    podSelector: {}\n    ingress:\n    - ports:\n      - port: [80]\n";
    let loaded = load(text);
    assert_eq!(loaded.objects.len(), 1);
    let message = loaded.problems[0].to_string();
    assert!(
        message.starts_with("test.yaml:14: NetworkPolicy default/p: spec.ingress[0].ports[0].port: "),
        "{message}"
    );
}

#[test]
fn an_unknown_field_of_a_policy_is_reported_because_a_typo_opens_everything() {
    let text = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n  podSelector: {}\n  ingress:\n  - form: []\n";
    let message = problem(text);
    assert!(
        message.starts_with("test.yaml:7: NetworkPolicy default/p: spec.ingress[0].form: "),
        "{message}"
    );
    assert_eq!(load(text).objects.len(), 1);
}

#[test]
fn bad_ports_addresses_and_phases_are_left_out_and_the_pod_stays() {
    let text = "
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - ports: [{containerPort: 70000}, {containerPort: 80, protocol: tcp}, {containerPort: 81}, {name: x}]
status: {phase: Sleeping, podIPs: [{ip: nonsense}, {ip: 10.0.0.9}]}
";
    let loaded = load(text);
    let pod = pods(&loaded)[0];
    assert_eq!(pod.ports.iter().map(|it| it.port).collect::<Vec<_>>(), [81]);
    assert_eq!(pod.ips.len(), 1);
    assert_eq!(pod.phase, Phase::Unknown);
    let paths: Vec<_> = loaded
        .problems
        .iter()
        .filter_map(|it| it.path.as_deref())
        .collect();
    assert_eq!(
        paths,
        [
            "status.podIPs[0].ip",
            "status.phase",
            "spec.containers[0].ports[0].containerPort",
            "spec.containers[0].ports[1].protocol",
            "spec.containers[0].ports[3].containerPort",
        ]
    );
}

#[test]
fn the_later_of_two_objects_with_one_name_wins_and_is_reported() {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: p, labels: {v: a}}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: default, labels: {v: b}}}\n";
    let loaded = load(text);
    assert_eq!(pods(&loaded).len(), 1);
    assert_eq!(pods(&loaded)[0].labels["v"], "b");
    assert_eq!(
        loaded.problems[0].to_string(),
        "test.yaml:3: Pod default/p: is there twice: this one replaces the one at test.yaml:1"
    );
}

#[test]
fn other_kinds_are_counted_and_other_network_policies_reported() {
    let loaded = load(
        "{apiVersion: v1, kind: Secret}\n---\n{apiVersion: v1, kind: ConfigMap}\n---\n{apiVersion: longhorn.io/v1, kind: Node}\n",
    );
    assert_eq!((loaded.ignored, loaded.problems.len()), (3, 0));
    let message = problem("apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\n");
    assert!(message.contains("expected networking.k8s.io/v1"), "{message}");
}

#[test]
fn what_is_no_object_is_reported() {
    for text in [
        "just text\n",
        "[1, 2]\n",
        "42\n",
        "{kind: Pod}\n",
        "{apiVersion: v1}\n",
        "{apiVersion: v1, kind: 7}\n",
    ] {
        assert!(problem(text).contains("expected"), "{text}");
    }
}

#[test]
fn names_the_api_refuses_never_enter_the_model() {
    for name in [
        "'../../etc'",
        "a/b",
        "UPPER",
        "\"\\e[31m\"",
        "-a",
        "a..b",
        "''",
        "~",
    ] {
        let loaded = load(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}}}"
        ));
        assert!(loaded.objects.is_empty(), "{name}");
        assert_eq!(loaded.problems.len(), 1, "{name}");
    }
    assert_eq!(
        load("{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: a.b}}")
            .problems
            .len(),
        1
    );
}

#[test]
fn empty_documents_and_comments_are_nothing() {
    let loaded = load("\u{feff}# nothing\n---\n---\n# still\n...\n%YAML 1.2\n---\nnull\n");
    assert_eq!(
        (loaded.objects.len(), loaded.problems.len(), loaded.ignored),
        (0, 0, 0)
    );
}

#[test]
fn json_lists_streams_and_typed_lists_are_read() {
    let json = r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}]}
{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"b"}}]}"#;
    let loaded = load(json);
    assert_eq!(loaded.problems, []);
    assert_eq!(
        pods(&loaded)
            .iter()
            .map(|pod| pod.name.name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
}

#[test]
fn a_document_marker_inside_a_block_scalar_ends_the_document_as_yaml_says() {
    let loaded = load(
        "apiVersion: v1\nkind: ConfigMap\ndata:\n  x: |\n    --- not one\n    text\n---\n{apiVersion: v1, kind: Pod, metadata: {name: p}}\n",
    );
    assert_eq!(
        (loaded.ignored, pods(&loaded).len(), loaded.problems.len()),
        (1, 1, 0)
    );
}

#[test]
fn alias_bombs_and_cycles_are_bounded() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        let row = vec![before; 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{row}]\n");
    }
    let wide = format!(
        "x: &x {}\ny: [{}]\n",
        "z".repeat(200_000),
        vec!["*x"; 5_000].join(", ")
    );
    for hostile in [bomb, wide, "&a [*a]\n".into(), "a: &a {b: *a}\n".into()] {
        let loaded = load(&format!(
            "{hostile}---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p}}}}\n"
        ));
        assert_eq!(loaded.problems.len(), 1);
        assert_eq!(pods(&loaded).len(), 1);
    }
}

#[test]
fn deep_nesting_is_a_problem_and_not_a_stack_overflow() {
    let block: String = (0..3_000)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    for hostile in [
        "[".repeat(100_000),
        "{\"a\":".repeat(100_000),
        "- ".repeat(20_000),
        block,
    ] {
        assert_eq!(load(&hostile).problems.len(), 1);
    }
}

#[test]
fn the_deepest_document_allowed_is_read_and_searched_for_lines() {
    for depth in [20, 50, 93, 94, 95, 96, 97] {
        let deep = format!("{}x{}", "{a: ".repeat(depth), "}".repeat(depth));
        let loaded = load(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, labels: {{n: no}}}}\ndeep:\n  {deep}\n"
        ));
        assert_eq!((loaded.objects.len(), loaded.problems.len()), (0, 1), "{depth}");
        let message = loaded.problems[0].to_string();
        let is_typed =
            message.contains("test.yaml:3: Pod default/p: metadata.labels.n") && message.contains("quote");
        assert_eq!(is_typed, depth <= 95, "{depth}: {message}");
    }
}

#[test]
fn messages_stay_short_however_long_the_input() {
    let text = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {}}}}}",
        "A".repeat(100_000)
    );
    assert!(problem(&text).len() < 2_000);
}

#[test]
fn paths_that_cannot_be_read_are_problems_and_directories_are_read_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let pod = |name: &str| format!("{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}}}");
    fs::write(directory.path().join("b.yml"), pod("b")).unwrap();
    fs::write(directory.path().join("a.yaml"), pod("a")).unwrap();
    fs::write(directory.path().join("c.json"), b"{\"apiVersion\": \xff}").unwrap();
    fs::write(directory.path().join("README.md"), "not: read").unwrap();
    let missing = directory.path().join("missing.yaml");
    let loaded = Loaded::from_paths(&[directory.path().to_owned(), missing]);
    assert_eq!(
        pods(&loaded)
            .iter()
            .map(|pod| pod.name.name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert!(
        loaded.problems.iter().any(|it| it.message.contains("UTF-8")),
        "{:?}",
        loaded.problems
    );
    assert!(
        loaded
            .problems
            .iter()
            .any(|it| it.to_string().contains("missing.yaml: cannot be read"))
    );
}

#[test]
fn problems_name_the_namespace_that_the_object_is_taken_into() {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: ''}, status: {podIP: x}}";
    assert!(problem(text).contains("Pod default/p: "), "{}", problem(text));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("p.yaml");
    fs::write(&file, text).unwrap();
    let loaded = Loaded::from_paths_in(&[file], Some("shop"));
    assert_eq!(pods(&loaded)[0].name, ObjectName::new("shop", "p"));
    assert_eq!(loaded.problems[0].object.as_deref(), Some("Pod shop/p"));
}

#[test]
fn generations_rise_with_changes_only() {
    let mut state = ClusterState::default();
    let changes = state.apply(load(POD).objects);
    assert_eq!(changes.len(), 2, "the namespace and the pod: {changes:?}");
    assert_eq!(state.generation(), 1);
    assert_eq!(state.apply(load(POD).objects), []);
    assert_eq!(state.generation(), 1);
    assert!(matches!(
        state.apply(load(&POD.replace("app: web", "app: api")).objects)[..],
        [Change::Changed(_)]
    ));
    assert_eq!(state.snapshot().generation, 2);
}

#[test]
fn applying_a_pod_without_status_keeps_where_it_runs() {
    let mut state = ClusterState::default();
    state.apply(load(POD).objects);
    state.apply(load("{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: new}}}").objects);
    let pod = state.pod(&ObjectName::new("default", "web")).unwrap();
    assert_eq!(
        (pod.ips.len(), pod.node.as_deref(), pod.labels["app"].as_str()),
        (2, Some("node-1"), "new")
    );
}

#[test]
fn a_pod_made_anew_inherits_nothing() {
    let named = |uid: &str| POD.replace("{name: web,", &format!("{{name: web, uid: {uid},"));
    let mut state = ClusterState::default();
    state.apply(load(&named("one")).objects);
    let pod = |metadata: &str| {
        load(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: web, {metadata}}}}}"
        ))
        .objects
    };
    state.apply(pod("uid: one"));
    let name = ObjectName::new("default", "web");
    assert_eq!(state.pod(&name).unwrap().ips.len(), 2, "it is the same pod");
    assert!(matches!(state.apply(pod("uid: two"))[..], [Change::Changed(_)]));
    let anew = state.pod(&name).unwrap();
    assert_eq!(
        (anew.ips.len(), &anew.node, anew.uid.as_deref()),
        (0, &None, Some("two"))
    );
}

#[test]
fn deleting_a_namespace_takes_what_lives_in_it() {
    let mut state = ClusterState::default();
    let text = "{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: a}}\n---\n{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: np, namespace: a}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: q, namespace: b}}\n";
    let objects = load(text).objects;
    let namespace = objects[0].key();
    state.apply(objects);
    assert_eq!(state.delete([namespace.clone()]).len(), 3);
    let snapshot = state.snapshot();
    assert_eq!(
        (
            snapshot.pods.len(),
            snapshot.policies.len(),
            snapshot.namespaces.len()
        ),
        (1, 0, 1)
    );
    assert_eq!(state.delete([namespace]), []);
}

#[test]
fn a_state_survives_a_file() {
    let mut state = ClusterState::default();
    state.apply(load(POD).objects);
    state.apply(load("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: np}, spec: {podSelector: {}, ingress: [{ports: [{port: http}]}]}}\n---\n{apiVersion: v1, kind: Node, metadata: {name: node-1}, status: {addresses: [{type: InternalIP, address: 192.0.2.1}, {type: Hostname, address: node-1}]}}").objects);
    let text = serde_json::to_string(&state).unwrap();
    let again: ClusterState = serde_json::from_str(&text).unwrap();
    let (a, b) = (state.snapshot(), again.snapshot());
    assert_eq!(
        (a.generation, &a.pods, &a.nodes, &a.namespaces),
        (b.generation, &b.pods, &b.nodes, &b.namespaces)
    );
    assert_eq!(a.policies[0].object, b.policies[0].object);
    assert_eq!(a.policies[0].place, b.policies[0].place);
}

/// YAML made of the words manifests are made of, so that it gets past the parser more often than bytes do.
fn yaml() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("apiVersion: v1\n"),
        Just("apiVersion: networking.k8s.io/v1\n"),
        Just("kind: Pod\n"),
        Just("kind: NetworkPolicy\n"),
        Just("kind: List\n"),
        Just("items:\n"),
        Just("- "),
        Just("metadata: {name: p}\n"),
        Just("metadata:\n"),
        Just("  name: x\n"),
        Just("spec:\n"),
        Just("  ingress:\n"),
        Just("  - from:\n"),
        Just("    - ipBlock: {cidr: 10.0.0.0/8, except: [1]}\n"),
        Just("    ports: [{port: 80, endPort: -1}]\n"),
        Just("---\n"),
        Just("...\n"),
        Just("&a "),
        Just("*a "),
        Just("<<: *a\n"),
        Just("\t"),
        Just("| \n"),
        Just("!!binary "),
        Just("? "),
        Just("status: {podIPs: [{ip: x}]}\n"),
        Just("{"),
        Just("]"),
        Just("é\u{2028}"),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_the_loader(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let _ = load(&text).into_snapshot();
    }

    #[test]
    fn arbitrary_yaml_never_panics_loader_and_compiler(text in yaml()) {
        let (snapshot, _) = load(&text).into_snapshot();
        prop_assert!(snapshot.namespaces.iter().all(|it| it.labels.contains_key("kubernetes.io/metadata.name")));
    }

    #[test]
    fn every_line_of_a_problem_lies_in_the_file(text in yaml()) {
        let lines = text.lines().count() as u64 + 1;
        for problem in load(&text).problems {
            prop_assert!((1..=lines).contains(&problem.place.line), "{problem}");
        }
    }
}
