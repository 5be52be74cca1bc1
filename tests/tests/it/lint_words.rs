//! `lint` as a user runs it: exit codes, the document, places, bad input and hostile names.

use std::{fs, io::Write as _, path::Path, process::Stdio};

use anyhow::{Context as _, Result};
use netpol_verify_tests::{Npv, Ran};

/// `lint` over a scenario that is committed.
fn guide(name: &str, words: &str) -> Result<Ran> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../netpol-verify/scenarios")
        .join(name);
    Npv::new(&format!("lint {words} -f"))?.arg(folder).run()
}

/// `lint` over a file with this text.
fn over(text: &str, words: &str) -> Result<Ran> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("in.yaml");
    fs::write(&file, text)?;
    Npv::new(&format!("lint {words} -f"))?.arg(file).run()
}

/// The document on standard output, checked against the committed schema.
fn document(ran: &Ran) -> Result<serde_json::Value> {
    let value: serde_json::Value = ran.document()?;
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../netpol-verify/schema/lint.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&fs::read_to_string(schema)?)?;
    if let Err(error) = jsonschema::validate(&schema, &value) {
        anyhow::bail!("against the schema: {error} at {}", error.instance_path());
    }
    Ok(value)
}

#[test]
fn the_guide_exits_with_1_and_the_corrected_one_with_0() -> Result<()> {
    let found = guide("guide", "")?.expect(1)?;
    assert_eq!(found.err, "");
    assert_eq!(found.out.matches("NPL002").count(), 2, "{}", found.out);
    assert!(found.out.contains("2 warnings, 1 info"), "{}", found.out);
    let clean = guide("guide-corrected", "")?.expect(0)?;
    assert!(!clean.out.contains("NPL"), "{}", clean.out);
    guide("guide", "--min-severity error")?.expect(0)?;
    guide("guide-corrected", "--min-severity info")?.expect(1)?;
    Ok(())
}

#[test]
fn an_intent_adds_what_breaks_it() -> Result<()> {
    let intent = Path::new(env!("CARGO_MANIFEST_DIR")).join("../netpol-verify/scenarios/guide/intent.yaml");
    let words = format!("--min-severity error --intent {}", intent.display());
    let found = guide("guide", &words)?.expect(1)?;
    assert_eq!(found.out.matches("NPL028").count(), 2, "{}", found.out);
    guide("guide-corrected", &words)?.expect(0)?;
    let missing = guide("guide", "--intent /no/such/file")?.expect(2)?;
    assert!(missing.complaint()?.contains("/no/such/file"));
    Ok(())
}

#[test]
fn the_document_keeps_to_its_schema_and_names_lines() -> Result<()> {
    let ran = guide("guide", "-o json")?.expect(1)?;
    let lint = document(&ran)?;
    assert_eq!(
        (&lint["kind"], &lint["summary"]["warnings"]),
        (&"Lint".into(), &2.into())
    );
    let first = &lint["findings"][0];
    assert_eq!(first["place"]["line"], 12);
    assert_eq!(first["path"], "spec.ingress[0].from[0]");
    // What is offered can be applied: with both, nothing is left to say.
    let manifests: Vec<&str> = lint["findings"]
        .as_array()
        .context("a list")?
        .iter()
        .filter_map(|finding| finding["manifest"].as_str())
        .collect();
    assert_eq!(manifests.len(), 2);
    let folder = tempfile::tempdir()?;
    let fix = folder.path().join("fix.yaml");
    fs::write(&fix, manifests.join("---\n"))?;
    let words = format!("-f {}", fix.display());
    document(&guide("guide", &format!("-o json {words}"))?.expect(0)?)?;
    Ok(())
}

#[test]
fn standard_input_has_lines_too() -> Result<()> {
    let text = "kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nmetadata: {name: p, namespace: a}\nspec:\n  podSelector: {}\n  policyTypes: [Ingress]\n  egress:\n  - {}\n";
    let mut lint = Npv::new("lint -o json -f -")?;
    lint.command.stdin(Stdio::piped());
    let mut child = lint.command.spawn()?;
    child.stdin.take().context("a pipe")?.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    assert_eq!(output.status.code(), Some(1));
    let lint: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let finding = &lint["findings"][0];
    assert_eq!(
        (&finding["code"], &finding["place"]["line"]),
        (&"NPL015".into(), &8.into())
    );
    Ok(())
}

#[test]
fn what_cannot_be_read_is_a_finding_and_nothing_at_all_a_usage_error() -> Result<()> {
    let broken = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {podSelector: {}, egres: []}\n---\nkind: [\n";
    let ran = over(broken, "")?.expect(1)?;
    assert_eq!(ran.out.matches("NPL001").count(), 2, "{}", ran.out);
    for (text, says) in [("", "nothing in the manifests"), ("kind: [", "in.yaml:1")] {
        let ran = over(text, "")?.expect(2)?;
        assert!(ran.err.contains(says) && ran.out.is_empty(), "{ran:?}");
    }
    for (words, says) in [
        ("lint -f /no/such/file", "/no/such/file"),
        ("lint --min-severity grave -f x", "warning"),
        ("lint -o yaml -f x", "json"),
    ] {
        let ran = Npv::new(words)?.run()?.expect(2)?;
        assert!(ran.err.contains(says), "{words}: {}", ran.err);
    }
    Ok(())
}

#[test]
fn hostile_names_reach_no_terminal_by_lint() -> Result<()> {
    let hostile = r#"
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: shop, labels: {"app\u001b]0;t": "\r\u009b2J"}}
spec: {containers: [{name: a, ports: [{name: "h\u001b[2J\u202e", containerPort: 80}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p, namespace: shop}
spec:
  podSelector: {matchLabels: {"app\u001b]0;t": "\r\u009b2K"}}
  "eg\u001b[31mress": []
  policyTypes: ["In\u202egress", Ingress]
  ingress: [{from: [{ipBlock: {cidr: "\u001b[31m"}}, {namespaceSelector: {matchLabels: {a: "\u0007"}}}], ports: [{port: "h\u001b[2J"}]}]
"#;
    for words in ["", "-o json", "--min-severity info"] {
        let ran = over(hostile, words)?.expect(1)?;
        for text in [&ran.out, &ran.err] {
            let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert_eq!(text.lines().find(|line| line.contains(raw)), None, "{words}");
        }
        assert!(ran.out.contains("NPL001"), "{}", ran.out);
    }
    Ok(())
}
