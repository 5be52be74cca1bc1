//! `explain` as a user runs it: the guide's half path, the patch that opens it and nothing else, hostile names, bad words.

use std::{fs, process::Stdio};

use anyhow::{Context as _, Result};
use netpol_verify_tests::Npv;
use serde_json::Value;

const GUIDE: &str = "netpol-verify/scenarios/guide";
const HALF_PATH: &str =
    "explain -f netpol-verify/scenarios/guide netpol-demo/backend netpol-demo/database:80";

#[test]
fn the_guides_half_path_is_named_with_its_policy_and_a_patch() -> Result<()> {
    let ran = Npv::new(HALF_PATH)?.run()?.expect(0)?;
    for says in [
        "DENY",
        "default-deny-egress",
        "The ingress side alone is open",
        "opens no other pair of pods",
        "kind: NetworkPolicy",
    ] {
        assert!(ran.out.contains(says), "{says}: {}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}') && ran.err.is_empty(), "{ran:?}");
    Ok(())
}

/// The patch is what a reader will apply: the matrix must show that path and no other opened.
#[test]
fn the_patch_opens_that_path_and_no_other() -> Result<()> {
    let ran = Npv::new(&format!("{HALF_PATH} -o json"))?.run()?.expect(0)?;
    let document: Value = ran.document()?;
    let suggestion = &document["answers"][0]["suggestion"];
    assert_eq!(
        (&suggestion["verified"], &suggestion["alsoOpens"]),
        (&Value::Bool(true), &Value::from(0))
    );
    let patched = tempfile::tempdir()?;
    for file in fs::read_dir(format!("{}/../{GUIDE}", env!("CARGO_MANIFEST_DIR")))? {
        let file = file?;
        fs::copy(file.path(), patched.path().join(file.file_name()))?;
    }
    let manifest = suggestion["manifest"].as_str().context("the patch is a text")?;
    fs::write(patched.path().join("patch.yaml"), manifest)?;
    let changed = Npv::new(&format!("matrix -f {GUIDE} --port 80/TCP -o json --diff"))?
        .arg(patched.path())
        .run()?
        .expect(1)?;
    let diff: Value = changed.document()?;
    let rows = diff["rows"].as_array().context("a diff has rows")?;
    assert_eq!(rows.len(), 1, "{}", changed.out);
    assert_eq!(
        (rows[0]["from"].as_str(), rows[0]["to"].as_str()),
        (Some("netpol-demo/backend"), Some("netpol-demo/database"))
    );
    Ok(())
}

#[test]
fn an_intent_that_is_broken_ends_with_one() -> Result<()> {
    let intent = format!(" --intent {GUIDE}/intent.yaml");
    let ran = Npv::new(&format!("{HALF_PATH}{intent}"))?.run()?.expect(1)?;
    assert!(ran.out.contains("the policies break this"), "{}", ran.out);
    Npv::new(&format!(
        "explain -f {GUIDE} netpol-demo/frontend netpol-demo/backend:80{intent}"
    ))?
    .run()?
    .expect(0)?;
    Ok(())
}

#[test]
fn manifests_come_from_standard_input_as_helm_prints_them() -> Result<()> {
    const CHART: &str = "---\n# Source: shop/templates/web.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, ports: [{name: http, containerPort: 8080}]}]}\n---\n# Source: shop/templates/api.yaml\napiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: api\nspec:\n  template:\n    metadata: {labels: {app: api}}\n    spec: {containers: [{name: api}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: into-web}\nspec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: http}]}]}\n";
    let mut npv = Npv::new("explain -f - -n prod api svc/web:80 -o json")?;
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), CHART)?;
    npv.command.stdin(Stdio::from(fs::File::open(file.path())?));
    let ran = npv.run()?.expect(0)?;
    let document: Value = ran.document()?;
    assert_eq!(document["expect"], "Allow", "{}", ran.out);
    assert_eq!(document["answers"][0]["port"], 8080);
    assert_eq!(document["answers"][0]["from"], "prod/api");
    Ok(())
}

#[test]
fn wrong_words_end_with_two_and_say_what_is_right() -> Result<()> {
    for (words, says) in [
        (
            "netpol-demo/nope netpol-demo/database:80",
            "there are netpol-demo/backend",
        ),
        (
            "netpol-demo/backend netpol-demo/database:http",
            "declares no port named http",
        ),
        ("netpol-demo/backend netpol-demo/database:80/ICMP", "R25"),
        ("netpol-demo/backend netpol-demo/database:70000", "is no port"),
        ("netpol-demo/backend netpol-demo/svc/x:80", "there is no Service"),
    ] {
        let ran = Npv::new(&format!("explain -f {GUIDE} {words}"))?
            .run()?
            .expect(2)?;
        assert!(ran.err.contains(says) && ran.out.is_empty(), "{words}: {ran:?}");
    }
    let ran = Npv::new("explain -f /nonexistent a b:80")?.run()?.expect(2)?;
    assert!(ran.err.contains("cannot be read"), "{ran:?}");
    Ok(())
}

#[test]
fn names_that_break_terminals_are_spelled_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let hostile = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: \"x\\e[2J\\u202e\"}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: b}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: \"p\\e[31m\"}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: y}}}]}]}\n";
    fs::write(folder.path().join("a.yaml"), hostile)?;
    for output in ["table", "json"] {
        let ran = Npv::new(&format!("explain a b:80 -o {output} -f"))?
            .arg(folder.path())
            .run()?
            .expect(0)?;
        for text in [&ran.out, &ran.err] {
            assert!(
                !text.contains('\u{1b}') && !text.contains('\u{202e}'),
                "{output}: {text:?}"
            );
        }
    }
    Ok(())
}
