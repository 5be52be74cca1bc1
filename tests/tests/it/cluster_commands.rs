//! `explain`, `matrix` and `lint` without `-f`: the cluster of a kubeconfig, through a real API server.

use std::fs;

use anyhow::{Context as _, Result};
use netpol_verify_tests::{ApiServer, Npv, Ran};
use serde_json::{Value, json};

use crate::{cluster_live::create, source::workspace};

/// Runs a command inside the server's network namespace, as the user of a context.
fn run(server: &ApiServer, context: &str, words: &str) -> Result<Ran> {
    let kubeconfig = server.access(context).kubeconfig.context("it has a kubeconfig")?;
    server.inside(async || {
        Npv::new(&format!("{words} --context {context} --kubeconfig"))?
            .arg(&kubeconfig)
            .run()
    })?
}

/// The guide in the namespace of its own name; the server has no controller that would give pods their status.
fn guide(server: &ApiServer) -> Result<()> {
    for file in [
        "pods.yaml",
        "default-deny.yaml",
        "allow-dns.yaml",
        "allow-paths.yaml",
    ] {
        let text = fs::read_to_string(workspace().join("netpol-verify/scenarios/guide").join(file))?;
        let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text)?;
        for object in &mut objects {
            if object["kind"] == "Pod" {
                object["spec"]["automountServiceAccountToken"] = json!(false);
            }
        }
        create(server, &objects)?;
    }
    Ok(())
}

#[test]
fn without_manifests_the_cluster_of_the_context_is_asked() -> Result<()> {
    let Some(server) = ApiServer::start("without_manifests_the_cluster_of_the_context_is_asked")? else {
        return Ok(());
    };
    guide(&server)?;
    let explained = run(
        &server,
        "admin",
        "explain -n netpol-demo backend database:80 -o json",
    )?
    .expect(0)?;
    let document: Value = explained.document()?;
    assert_eq!(document["expect"], "Deny", "{}", explained.out);
    assert_eq!(document["answers"][0]["suggestion"]["verified"], true);

    let matrix = run(&server, "admin", "matrix -n netpol-demo --port 80 -o json")?.expect(0)?;
    let document: Value = matrix.document()?;
    let allowed: Vec<&Value> = document["rows"]
        .as_array()
        .context("a matrix has rows")?
        .iter()
        .filter(|row| {
            row["expect"] == "Allow"
                && [&row["from"], &row["to"]]
                    .iter()
                    .all(|end| end.as_str().is_some_and(|end| end.starts_with("netpol-demo/")))
        })
        .collect();
    assert_eq!(allowed.len(), 1, "{allowed:?}");
    assert_eq!(allowed[0]["from"], "netpol-demo/frontend");

    let lint = run(&server, "admin", "lint")?.expect(1)?;
    assert!(lint.out.contains("NPL002"), "{}", lint.out);

    let nobody = run(&server, "nobody", "matrix")?.expect(4)?;
    assert!(
        nobody.err.contains("list pods in all namespaces") && nobody.out.is_empty(),
        "{nobody:?}"
    );
    Ok(())
}

#[test]
fn no_kubeconfig_and_no_manifests_is_said() -> Result<()> {
    let ran = Npv::new("matrix --kubeconfig /nonexistent/config")?
        .run()?
        .expect(4)?;
    assert!(
        ran.err.contains("/nonexistent/config") && ran.err.contains("-f"),
        "{ran:?}"
    );
    Ok(())
}
