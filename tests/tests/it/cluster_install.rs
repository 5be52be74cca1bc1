//! What `deploy/install.yaml` asks of a real API server: it takes every object, and no more rights come of it than are said.

use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use netpol_verify_tests::ApiServer;
use serde_json::{Value, json};

use crate::source::workspace;

const NAMESPACE: &str = "netpol-verify";

/// As it is committed.
fn manifests() -> Result<Vec<Value>> {
    let file = workspace().join("deploy/install.yaml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(serde_saphyr::from_multiple(&text)?)
}

/// Where an object is created. `ApiServer` refuses fields that it does not know.
fn collection(object: &Value) -> Result<String> {
    let version = object["apiVersion"].as_str().context("no apiVersion")?;
    let resource = match object["kind"].as_str().context("no kind")? {
        "NetworkPolicy" => "networkpolicies".to_owned(),
        kind => kind.to_lowercase() + "s",
    };
    let root = if version == "v1" { "api" } else { "apis" };
    Ok(match object["metadata"]["namespace"].as_str() {
        Some(namespace) => {
            format!("/{root}/{version}/namespaces/{namespace}/{resource}?fieldValidation=Strict")
        }
        None => format!("/{root}/{version}/{resource}?fieldValidation=Strict"),
    })
}

/// A server on which all of it was applied, in the file's order.
fn installed(test: &str) -> Result<Option<(ApiServer, Vec<Value>)>> {
    let Some(server) = ApiServer::start(test)? else {
        return Ok(None);
    };
    let objects = manifests()?;
    for object in &objects {
        let (status, answer) = server.ask("POST", &collection(object)?, Some(object.clone()))?;
        ensure!(
            status == 201,
            "{} {}: {answer}",
            object["kind"],
            object["metadata"]["name"]
        );
    }
    Ok(Some((server, objects)))
}

/// The pod that a workload would make, in a namespace of a pod-security level; whether the server admits it.
fn is_admitted(server: &ApiServer, workload: &Value, level: &str) -> Result<bool> {
    let namespace = format!("level-{level}");
    let labels = json!({"pod-security.kubernetes.io/enforce": level});
    let made = json!({"metadata": {"name": namespace, "labels": labels}});
    let (status, answer) = server.ask("POST", "/api/v1/namespaces", Some(made))?;
    ensure!(status == 201 || status == 409, "{answer}");
    let account = &workload["spec"]["template"]["spec"]["serviceAccountName"];
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    let (status, answer) = server.ask("POST", &path, Some(json!({"metadata": {"name": account}})))?;
    ensure!(status == 201 || status == 409, "{answer}");
    let pod = json!({"metadata": {"name": "p"}, "spec": workload["spec"]["template"]["spec"]});
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict");
    match server.ask("POST", &path, Some(pod))? {
        (201, _) => Ok(true),
        (403, answer)
            if answer["message"]
                .as_str()
                .is_some_and(|said| said.contains("PodSecurity")) =>
        {
            Ok(false)
        }
        (status, answer) => bail!("{status} {answer}"),
    }
}

#[test]
fn every_object_is_taken_and_only_the_sensor_needs_a_privileged_namespace() -> Result<()> {
    let test = "every_object_is_taken_and_only_the_sensor_needs_a_privileged_namespace";
    let Some((server, objects)) = installed(test)? else {
        return Ok(());
    };
    let mut levels = Vec::new();
    for workload in objects
        .iter()
        .filter(|object| object["spec"]["template"].is_object())
    {
        let name = workload["metadata"]["name"].as_str().context("no name")?;
        let level = ["restricted", "baseline", "privileged"]
            .into_iter()
            .find_map(|level| match is_admitted(&server, workload, level) {
                Ok(true) => Some(Ok(level)),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            })
            .with_context(|| format!("{name} is admitted nowhere"))??;
        levels.push((name, level));
    }
    levels.sort_unstable();
    let expected = [
        ("netpol-verify-nats", "restricted"),
        ("netpol-verify-sensor", "privileged"),
        ("netpol-verify-verifier", "restricted"),
    ];
    assert_eq!(levels, expected);
    let (_, namespace) = server.ask("GET", &format!("/api/v1/namespaces/{NAMESPACE}"), None)?;
    assert_eq!(
        namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "privileged"
    );
    Ok(())
}

#[test]
fn the_verifier_may_read_what_it_judges_by_and_the_sensor_nothing() -> Result<()> {
    let test = "the_verifier_may_read_what_it_judges_by_and_the_sensor_nothing";
    let Some((server, objects)) = installed(test)? else {
        return Ok(());
    };
    let may = |account: &str, verb: &str, group: &str, resource: &str| -> Result<bool> {
        let review = json!({"spec": {
            "user": format!("system:serviceaccount:{NAMESPACE}:netpol-verify-{account}"),
            "resourceAttributes": {"verb": verb, "group": group, "resource": resource},
        }});
        let (_, answer) = server.ask(
            "POST",
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            Some(review),
        )?;
        answer["status"]["allowed"]
            .as_bool()
            .with_context(|| answer.to_string())
    };
    // Rights come into force a moment after their objects.
    for _ in 0..200 {
        if may("verifier", "watch", "", "pods")? {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let policies = "policy.networking.k8s.io";
    for (group, resource) in [
        ("", "pods"),
        ("", "namespaces"),
        ("", "nodes"),
        ("", "services"),
        ("discovery.k8s.io", "endpointslices"),
        ("networking.k8s.io", "networkpolicies"),
        (policies, "adminnetworkpolicies"),
        (policies, "baselineadminnetworkpolicies"),
        (policies, "clusternetworkpolicies"),
    ] {
        for verb in ["get", "list", "watch"] {
            assert_eq!(
                may("verifier", verb, group, resource)?,
                verb != "get",
                "verifier: {verb} {resource}"
            );
            assert!(
                !may("sensor", verb, group, resource)?,
                "sensor: {verb} {resource}"
            );
        }
        assert!(
            !may("verifier", "update", group, resource)?,
            "verifier: update {resource}"
        );
    }
    assert!(!may("verifier", "get", "", "secrets")?);
    assert!(!may("verifier", "create", "", "pods/exec")?);
    assert!(
        objects.iter().all(|object| object["kind"] != "Secret"),
        "a file that everybody has holds a secret"
    );
    Ok(())
}
