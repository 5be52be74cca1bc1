//! `doctor --cluster` on a real API server: what a user may do, what it costs where they may not, and what nodes say.

use anyhow::{Context as _, Result, ensure};
use netpol_verify_tests::{ApiServer, Npv, Ran};
use serde_json::{Value, json};

/// What certify does with a cluster whose sensors are installed and whose own pods are probed.
const CERTIFY: [(&str, &str, &[&str]); 9] = [
    ("", "namespaces", &["get", "list"]),
    ("", "pods", &["list"]),
    ("", "pods/portforward", &["get", "create"]),
    ("", "nodes", &["list"]),
    ("", "secrets", &["get"]),
    ("apps", "daemonsets", &["get", "list"]),
    ("apps", "deployments", &["get"]),
    ("networking.k8s.io", "networkpolicies", &["list"]),
    (
        "coordination.k8s.io",
        "leases",
        &["get", "create", "update", "delete"],
    ),
];

/// Runs it as the user of a context, inside the server's network namespace.
fn doctor(server: &ApiServer, context: &str, words: &str) -> Result<Ran> {
    let kubeconfig = server.access(context).kubeconfig.context("it has a kubeconfig")?;
    server.inside(async || {
        Npv::new(&format!(
            "doctor --cluster {words} --context {context} --kubeconfig"
        ))?
        .arg(&kubeconfig)
        .run()
    })?
}

/// The lines of its document, and its exit code is what follows from them.
fn lines(server: &ApiServer, context: &str) -> Result<Vec<Value>> {
    let ran = doctor(server, context, "-o json")?;
    let lines: Vec<Value> = ran.document()?;
    let is_fatal = |line: &Value| line["required"] == true && line["ok"] == false;
    let expected = if lines.iter().any(is_fatal) { 4 } else { 0 };
    ensure!(ran.code == Some(expected), "{ran:?}");
    Ok(lines)
}

fn of<'a>(lines: &'a [Value], what: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["what"] == what).collect()
}

fn make(server: &ApiServer, path: &str, object: Value) -> Result<Value> {
    let (status, answer) = server.ask("POST", path, Some(object))?;
    ensure!(status == 201, "{path}: {status} {answer}");
    Ok(answer)
}

#[test]
fn each_right_that_lacks_is_named_with_its_cost_and_granting_those_is_enough() -> Result<()> {
    let test = "each_right_that_lacks_is_named_with_its_cost_and_granting_those_is_enough";
    let Some(server) = ApiServer::start(test)? else {
        return Ok(());
    };
    let nobody = lines(&server, "nobody")?;
    assert_eq!(of(&nobody, "API server").len(), 1);
    for (what, words) in [
        (
            "rights: explain",
            "may not list pods everywhere: explain, matrix, lint, certify",
        ),
        (
            "rights: explain",
            "check with `kubectl auth can-i list networkpolicies.networking.k8s.io --all-namespaces`",
        ),
        (
            "rights: verifier",
            "may not watch endpointslices.discovery.k8s.io everywhere",
        ),
        (
            "rights: certify",
            "check with `kubectl auth can-i update leases.coordination.k8s.io -n netpol-verify`",
        ),
        (
            "rights: certify",
            "may not create pods/portforward in namespace netpol-verify: certify is not possible",
        ),
        ("rights: certify's own pods", "certify --existing can do without"),
        ("rights: certify's sensors", "deploy/install.yaml"),
    ] {
        let found = of(&nobody, what);
        let is_said = |line: &&Value| line["detail"].as_str().is_some_and(|it| it.contains(words));
        ensure!(found.iter().any(is_said), "{what}: {words}: {found:#?}");
        assert!(found.iter().all(|line| line["ok"] == false), "{found:#?}");
    }
    let text = nobody.iter().map(Value::to_string).collect::<String>();
    assert!(
        !text.contains("adminnetworkpolicies"),
        "the server does not have them: {text}"
    );

    let rules: Vec<Value> = CERTIFY
        .iter()
        .map(
            |(group, resource, verbs)| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs}),
        )
        .collect();
    server.grant("partial", &rules)?;
    let partial = lines(&server, "partial")?;
    let all = of(&partial, "rights: certify");
    assert!(matches!(all.as_slice(), [one] if one["ok"] == true), "{all:#?}");
    // What is useful and not needed stays a lack without which there is an answer.
    let services = of(&partial, "rights: explain");
    let is_lacking = |line: &&&Value| line["ok"] == false && line["required"] == false;
    assert_eq!(services.iter().filter(is_lacking).count(), 2, "{services:#?}");

    let admin = lines(&server, "admin")?;
    let rights = admin.iter().filter(|line| {
        line["what"]
            .as_str()
            .is_some_and(|what| what.starts_with("rights"))
    });
    assert!(rights.clone().count() >= 5);
    assert!(rights.into_iter().all(|line| line["ok"] == true), "{admin:#?}");
    Ok(())
}

#[test]
fn kernels_pod_security_and_another_run_are_told_and_a_hostile_node_breaks_no_terminal() -> Result<()> {
    let test = "kernels_pod_security_and_another_run_are_told_and_a_hostile_node_breaks_no_terminal";
    let Some(server) = ApiServer::start(test)? else {
        return Ok(());
    };
    for (name, kernel, runtime) in [
        ("good", "6.18.44", "containerd://2.1.0"),
        ("old", "5.15.0-91-generic", "cri-o://1.30.0"),
        ("hostile", "5.4.0\u{1b}[31m\nok", "\u{202e}moby://1"),
    ] {
        make(
            &server,
            "/api/v1/nodes",
            json!({"kind": "Node", "metadata": {"name": name}}),
        )?;
        let status = json!({"status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kernelVersion": kernel, "containerRuntimeVersion": runtime},
        }});
        let (code, answer) = server.ask("PATCH", &format!("/api/v1/nodes/{name}/status"), Some(status))?;
        ensure!(code == 200, "{answer}");
    }
    let before = lines(&server, "admin")?;
    let detail = |lines: &[Value], what: &str| -> String {
        let found = of(lines, what);
        found
            .iter()
            .map(|line| format!("{} {}\n", line["ok"], line["detail"]))
            .collect()
    };
    let kernels = detail(&before, "kernel");
    for words in [
        "true \"6.18.44 on good",
        "false \"5.15.0-91-generic on old: before 5.17",
        "before 5.10",
    ] {
        assert!(kernels.contains(words), "{words}: {kernels}");
    }
    assert!(detail(&before, "Pod Security").contains("would be made"));
    assert!(detail(&before, "another run").contains("true"));
    assert!(detail(&before, "sensors").contains("not installed"));
    let table = doctor(&server, "admin", "")?;
    assert_eq!(table.code, Some(4), "a kernel of no use: {table:?}");
    assert!(
        !table.out.contains('\u{1b}') && !table.out.contains('\u{202e}'),
        "{}",
        table.out
    );
    assert_eq!(table.out.lines().count(), before.len(), "{}", table.out);
    let (_, left) = server.ask("GET", "/api/v1/namespaces/netpol-verify", None)?;
    assert_eq!(left["code"], 404, "looking makes nothing");

    let enforce = |level: &str| json!({"metadata": {"name": "netpol-verify", "labels": {"pod-security.kubernetes.io/enforce": level}}});
    let made = make(&server, "/api/v1/namespaces", enforce("baseline"))?;
    let now = made["metadata"]["creationTimestamp"]
        .as_str()
        .context("no time")?;
    // A lease's times have six digits.
    let now = now.replace('Z', ".000000Z");
    let lease = json!({"metadata": {"name": "netpol-verify-certify"}, "spec": {
        "holderIdentity": "abcde on elsewhere", "leaseDurationSeconds": 600, "acquireTime": now, "renewTime": now,
    }});
    let leases = "/apis/coordination.k8s.io/v1/namespaces/netpol-verify/leases";
    make(&server, leases, lease)?;
    let baseline = lines(&server, "admin")?;
    let refused = detail(&baseline, "Pod Security");
    assert!(
        refused.starts_with("false") && refused.contains("kubectl label namespace"),
        "{refused}"
    );
    let held = detail(&baseline, "another run");
    assert!(held.contains("abcde on elsewhere has been certifying"), "{held}");

    let (code, answer) = server.ask(
        "PATCH",
        "/api/v1/namespaces/netpol-verify",
        Some(enforce("privileged")),
    )?;
    ensure!(code == 200, "{answer}");
    let admitted = detail(&lines(&server, "admin")?, "Pod Security");
    assert!(admitted.starts_with("true"), "{admitted}");
    let (_, pods) = server.ask("GET", "/api/v1/namespaces/netpol-verify/pods", None)?;
    assert_eq!(pods["items"], json!([]), "it was tried and not made");
    Ok(())
}
