//! `certify --existing` on a real API server: what is refused before anything is made in the cluster.

use anyhow::{Context as _, Result, ensure};
use netpol_verify_tests::{ApiServer, Npv, Ran};
use serde_json::json;

use crate::cluster_live::{create, namespace, pod};

fn certify(server: &ApiServer, context: &str, words: &str) -> Result<Ran> {
    let kubeconfig = server.access(context).kubeconfig.context("it has a kubeconfig")?;
    server.inside(async || {
        Npv::new(&format!("certify {words} --context {context} --kubeconfig"))?
            .arg(&kubeconfig)
            .run()
    })?
}

#[test]
fn a_selection_of_nothing_and_missing_rights_are_said_before_anything_is_made() -> Result<()> {
    let test = "a_selection_of_nothing_and_missing_rights_are_said_before_anything_is_made";
    let Some(server) = ApiServer::start(test)? else {
        return Ok(());
    };
    let mut host = pod("on-host", "agent", json!({"app": "agent"}));
    host["spec"]["hostNetwork"] = json!(true);
    host["spec"]["containers"][0]["ports"] = json!([]);
    host["spec"]["automountServiceAccountToken"] = json!(false);
    create(&server, &[namespace("on-host"), host])?;
    for (context, words, code, said) in [
        ("admin", "--existing", 2, "in namespace of-admin (0 selected"),
        (
            "admin",
            "--existing -n nowhere",
            2,
            "in namespace nowhere (0 selected",
        ),
        (
            "admin",
            "--existing -n on-host -n nowhere -l app=agent",
            2,
            "in the namespaces on-host, nowhere with the labels app=agent (1 selected",
        ),
        ("admin", "--existing -A", 2, "in any namespace (1 selected"),
        ("admin", "--existing -A --port 53/UDP", 2, "--udp"),
        ("admin", "-n on-host", 2, "--existing"),
        ("nobody", "--existing -A", 4, "RBAC lacks list namespaces"),
    ] {
        let ran = certify(&server, context, words)?;
        assert_eq!(ran.code, Some(code), "{words}: {ran:?}");
        assert!(ran.err.contains(said), "{words}: {ran:?}");
        assert!(!ran.err.contains("taking the lease"), "{words}: {ran:?}");
    }
    let (_, home) = server.ask("GET", "/api/v1/namespaces/netpol-verify", None)?;
    ensure!(home["code"] == 404, "{home}");
    Ok(())
}
