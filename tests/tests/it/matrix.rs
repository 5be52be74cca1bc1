//! `matrix` as a user runs it: input by files, folders and pipes, filters, formats, exit codes.

use std::{
    io::{Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use netpol_verify_tests::{Npv, Ran, binary};

const GUIDE: &str = "netpol-verify/scenarios/guide";
const CORRECTED: &str = "netpol-verify/scenarios/guide-corrected";

fn matrix(words: &str) -> Result<Ran> {
    Npv::new(&format!("matrix -f {GUIDE} {words}"))?.run()
}

fn piped(words: &str, input: &str) -> Result<Ran> {
    let mut command = Npv::new(words)?;
    let mut file = tempfile::tempfile()?;
    file.write_all(input.as_bytes())?;
    std::io::Seek::rewind(&mut file)?;
    command.command.stdin(file);
    command.run()
}

#[test]
fn the_guide_is_a_grid_and_ends_well() -> Result<()> {
    let ran = matrix("--port 80 --from netpol-demo/* --to netpol-demo/*")?.expect(0)?;
    assert_eq!(ran.err, "");
    assert!(
        ran.out
            .starts_with("TCP/80 in netpol-demo — 12 pairs: 1 allowed, 11 denied, 0 unspecified\n"),
        "{}",
        ran.out
    );
    Ok(())
}

#[test]
fn filters_keep_the_pairs_they_say() -> Result<()> {
    for (words, rows) in [
        ("", 60),
        ("--port 80", 20),
        ("--port 80 --port 53/UDP --port 80/TCP", 40),
        ("--port 80 -n kube-system", 8),
        ("--port 80 -n kube-system -A", 20),
        ("--port 80 -l app=frontend", 8),
        ("--port 80 -l tier", 18),
        ("--port 80 -n netpol-demo -l !tier", 8),
        ("--port 80 --from netpol-demo/frontend --to netpol-demo/*", 3),
        (
            "--port 80 -n netpol-demo --from frontend --from backend --to database",
            2,
        ),
    ] {
        let ran = matrix(&format!("-o csv {words}"))?.expect(0)?;
        assert_eq!(ran.out.lines().count() - 1, rows, "{words}: {}", ran.out);
    }
    Ok(())
}

#[test]
fn every_format_is_written_and_says_nothing_else() -> Result<()> {
    for (format, begins) in [
        ("table", "TCP/53"),
        ("wide", "TCP/53"),
        (
            "json",
            "{\"apiVersion\":\"netpol-verify.io/v1alpha1\",\"kind\":\"Matrix\"",
        ),
        ("csv", "from,to,protocol,port,expect,by,family,why,pairs\n"),
        ("dot", "digraph"),
        ("mermaid", "flowchart"),
        ("html", "<!doctype html>"),
    ] {
        let ran = matrix(&format!("-o {format}"))?.expect(0)?;
        assert!(
            ran.out.starts_with(begins) && ran.err.is_empty(),
            "{format}: {ran:?}"
        );
        assert!(!ran.out.contains('\u{1b}'), "{format}: colour in a pipe");
    }
    Ok(())
}

#[test]
fn what_selects_nothing_is_a_usage_error_that_lists_what_is_there() -> Result<()> {
    for (words, expected) in [
        ("-n nowhere", "there are pods in kube-system, netpol-demo"),
        ("--from nowhere/x", "kube-system/*, netpol-demo/*"),
        ("--to netpol-demo/x", "netpol-demo/backend, netpol-demo/database"),
        ("-l app=nobody", "app=nobody"),
        ("-l a=b=c", "notin"),
        ("--port http", "53/UDP"),
        ("--port 65536", "65535"),
        ("-o markdown", "without --diff"),
        (
            "-o csv --diff netpol-verify/scenarios/guide-corrected",
            "table, json or markdown",
        ),
        (
            "--diff netpol-verify/scenarios/guide/allow-dns.yaml",
            "no pod is on both sides",
        ),
        ("--intent does/not/exist.yaml", "does/not/exist.yaml"),
    ] {
        let ran = matrix(words)?.expect(2)?;
        assert!(ran.err.contains(expected), "{words}: {}", ran.err);
        assert_eq!(ran.out, "", "{words}");
    }
    Ok(())
}

#[test]
fn a_pull_request_is_told_what_it_opens() -> Result<()> {
    for format in ["table", "json", "markdown"] {
        let ran = matrix(&format!("--diff {CORRECTED} -o {format}"))?.expect(1)?;
        assert_eq!(ran.err, "");
        let opened = ran
            .out
            .matches("allow-client-egress-to-frontend egress[0]")
            .count();
        assert_eq!(opened, 1, "{}", ran.out);
        matrix(&format!("--diff {GUIDE} -o {format}"))?.expect(0)?;
    }
    Ok(())
}

#[test]
fn what_a_block_of_addresses_opens_is_compared_when_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let manifests = |block: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: web, namespace: shop}}, spec: {{}}}}\n---\n\
             {{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: out, namespace: shop}}, spec: {{podSelector: {{}}, \
             policyTypes: [Egress], egress: [{{to: [{{ipBlock: {{cidr: {block}}}}}]}}]}}}}\n"
        )
    };
    let (before, after) = (
        folder.path().join("before.yaml"),
        folder.path().join("after.yaml"),
    );
    std::fs::write(&before, manifests("198.51.100.0/28"))?;
    std::fs::write(&after, manifests("198.51.100.0/24"))?;
    let diff = |words: &str| {
        Npv::new(words)?
            .arg("-f")
            .arg(&before)
            .arg("--diff")
            .arg(&after)
            .run()
    };
    let ran = diff("matrix --port 80")?.expect(0)?;
    assert!(ran.complaint()?.contains("--external"), "{}", ran.err);
    let ran = diff("matrix --port 80 --external")?.expect(1)?;
    assert!(
        ran.out.contains("opened      shop/web → 198.51.100.0/24 TCP/80"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("1 opened, 0 closed") && ran.err.is_empty(),
        "{ran:?}"
    );
    Ok(())
}

#[test]
fn an_intent_that_is_broken_is_told_in_every_format() -> Result<()> {
    for format in ["table", "wide", "json", "csv", "dot", "mermaid", "html"] {
        let ran = matrix(&format!("-o {format} --intent {GUIDE}/intent.yaml"))?.expect(1)?;
        let text = ran.out + &ran.err;
        assert!(
            text.contains("let netpol-demo/backend open TCP/80 to netpol-demo/database"),
            "{format}: {text}"
        );
        Npv::new(&format!(
            "matrix -f {CORRECTED} -o {format} --intent {GUIDE}/intent.yaml"
        ))?
        .run()?
        .expect(0)?;
    }
    Ok(())
}

/// What `helm template` prints: no Pod, a Service, a policy, comments, an empty document.
const CHART: &str = "---
# Source: shop/templates/web.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: db}]}
---
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {selector: {app: db}, ports: [{port: 80, targetPort: 5432}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]
";

#[test]
fn what_helm_prints_is_read_from_a_pipe() -> Result<()> {
    let ran = piped("matrix -f - -n shop --by workload -o csv", CHART)?.expect(0)?;
    assert_eq!(ran.err, "");
    assert_eq!(
        ran.out.lines().skip(1).collect::<Vec<_>>(),
        [
            "shop/StatefulSet/db,shop/Deployment/web,TCP,5432,Allow,,,,1",
            "shop/Deployment/web,shop/StatefulSet/db,TCP,5432,Allow,shop/db ingress[0],,,1",
        ]
    );
    Ok(())
}

#[test]
fn no_port_named_and_no_pod_there_are_said() -> Result<()> {
    let pods = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {}}\n---\n\
                {apiVersion: v1, kind: Pod, metadata: {name: b}, spec: {}}\n";
    let ran = piped("matrix -f - -o csv", pods)?.expect(0)?;
    assert!(ran.complaint()?.contains("TCP/80 stands in"), "{}", ran.err);
    assert_eq!(ran.out.lines().count(), 3);
    let only = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {podSelector: {}}}";
    let ran = piped("matrix -f -", only)?.expect(2)?;
    assert!(ran.err.contains("no pod to ask about"), "{}", ran.err);
    let ran = piped("matrix -f -", "")?.expect(2)?;
    assert!(!ran.err.is_empty());
    let ran = piped("matrix -f - --diff -", pods)?.expect(2)?;
    assert!(ran.err.contains("both want standard input"), "{}", ran.err);
    Ok(())
}

#[test]
fn a_name_of_an_owner_is_no_formula_and_no_element() -> Result<()> {
    let pod = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, ownerReferences: [{{kind: \"=1+1\", name: \
             \"<img src=x onerror=a>\\u001b[2J\", uid: u, apiVersion: v1, controller: true}}]}}, spec: {{}}}}\n---\n"
        )
    };
    let pods = pod("a") + &pod("b");
    for format in ["table", "wide", "json", "csv", "dot", "mermaid", "html"] {
        let ran = piped(&format!("matrix -f - --by workload --port 80 -o {format}"), &pods)?.expect(0)?;
        assert!(!ran.out.contains('\u{1b}'), "{format}: {}", ran.out);
        assert!(format != "html" || !ran.out.contains("<img"), "{}", ran.out);
        assert!(ran.out.contains("img src"), "{format}: {}", ran.out);
    }
    Ok(())
}

#[test]
fn a_reader_that_leaves_early_ends_it_without_a_word() -> Result<()> {
    // More than any pipe holds.
    let pods: String = (0..400)
        .map(|number| {
            format!("---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p{number}}}, spec: {{}}}}\n")
        })
        .collect();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pods.yaml");
    std::fs::write(&file, pods)?;
    for format in ["csv", "json", "dot", "table", "html"] {
        let mut child = Command::new(binary()?)
            .args(["matrix", "--port", "80", "-o", format, "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut first = [0; 20];
        let mut out = child.stdout.take().context("a pipe")?;
        out.read_exact(&mut first)?;
        drop(out);
        let mut err = String::new();
        child.stderr.take().context("a pipe")?.read_to_string(&mut err)?;
        let status = child.wait()?;
        assert_eq!(
            (status.code(), status.signal(), err.as_str()),
            (Some(0), None, ""),
            "{format}"
        );
    }
    Ok(())
}
