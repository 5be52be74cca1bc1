//! Bad input is named with its place, never taken silently and never printed raw.

use std::{fs, os::unix::process::CommandExt as _, path::Path};

use anyhow::Result;
use netpol_verify_tests::{Npv, Ran, as_root};

const PODS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: shop, labels: {app: a}}
spec: {containers: [{name: a, image: a, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: shop, labels: {app: b}}
spec: {containers: [{name: b, image: b, ports: [{containerPort: 80}]}]}
";

/// `lab` over a folder of these files.
fn over(files: &[(&str, &str)], words: &str) -> Result<Ran> {
    let folder = tempfile::tempdir()?;
    for (name, text) in files {
        fs::write(folder.path().join(name), text)?;
    }
    let ran = Npv::new(&format!("lab {words} --scenario"))?
        .arg(folder.path())
        .run()?;
    ran.nothing_left()?;
    Ok(ran)
}

#[test]
fn a_manifest_that_does_not_parse_is_named_and_the_rest_is_judged() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let broken = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: [\n";
    let ran = over(&[("broken.yaml", broken), ("pods.yaml", PODS)], "-o json")?.expect(0)?;
    assert!(ran.err.contains("broken.yaml:"), "{}", ran.err);
    let run = ran.report()?;
    assert_eq!(run.summary.permitted, 4, "two ways, two families");
    assert!(
        run.problems
            .iter()
            .any(|problem| problem.place.contains("broken.yaml:")),
        "{:?}",
        run.problems
    );
    Ok(())
}

#[test]
fn a_stages_problems_are_said_too() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let scenario = "title: t\npods: [pods.yaml]\nstages: [{name: s, apply: [p.yaml]}]\n";
    let wrong = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n  podSelector: {}\n  policyTypes: 7\n";
    let files = [
        ("scenario.yaml", scenario),
        ("pods.yaml", PODS),
        ("p.yaml", wrong),
    ];
    let ran = over(&files, "-o json")?;
    assert!(ran.err.contains("p.yaml:"), "{ran:?}");
    let run = ran.report()?;
    assert!(!run.problems.is_empty());
    // The account of losses covers the shortest run.
    assert!(
        run.losses.seen >= u64::try_from(run.attempts.len())?,
        "{:?}",
        run.losses
    );
    Ok(())
}

#[test]
fn input_of_which_nothing_is_left_is_a_usage_error() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for (files, says) in [
        (vec![("pods.yaml", "kind: [")], "pods.yaml:1"),
        (vec![("notes.txt", "no manifest")], "no pod is left"),
        (vec![("scenario.yaml", "title: 3\nstages: x")], "scenario.yaml"),
        (
            vec![(
                "scenario.yaml",
                "title: t\nstages: [{name: a, apply: [../x.yaml]}]",
            )],
            "outside",
        ),
    ] {
        let ran = over(&files, "")?.expect(2)?;
        assert!(ran.err.contains(says), "{says}: {ran:?}");
        assert_eq!(ran.out, "");
    }
    Ok(())
}

#[test]
fn unknown_words_are_usage_errors_that_name_the_known_ones() -> Result<()> {
    for (words, says) in [
        ("lab --scenario /no/such/folder", "/no/such/folder"),
        ("lab --fault nonsense", "no-engine"),
        ("lab --cni calico", "flannel"),
        ("lab --wiring x", "routed"),
        ("lab --nodes 0", "1..=250"),
        ("lab --enforcer x", "exec:PATH"),
        ("lab -o yaml", "json"),
        ("nonsense", "unrecognized"),
    ] {
        // A missing folder is found by root alone: without rights nothing is looked for.
        if words.contains("scenario") && !as_root() {
            continue;
        }
        let ran = Npv::new(words)?.run()?.expect(2)?;
        assert!(ran.err.contains(says), "{words}: {}", ran.err);
        assert_eq!(ran.out, "");
    }
    Ok(())
}

#[test]
fn hostile_names_never_reach_a_terminal() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let hostile = r#"
apiVersion: v1
kind: Pod
metadata: {name: "x\u001b[31m\u202e", namespace: "n\u0007/../../..", labels: {"app\u001b]0;t": "\r\u009b2J"}}
spec: {containers: [{name: a, image: a, ports: [{name: "h\u001b[2J", containerPort: 80}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: "p\u001b[31m", namespace: shop}
spec: {podSelector: {matchLabels: {app: a}}, policyTypes: ["In\u001bgress", Ingress]}
---
apiVersion: v1
kind: Pod
metadata: {name: c, namespace: shop, labels: {app: "c\u001b[31m"}}
spec: {nodeName: node1, containers: [{name: c, image: c}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: q, namespace: shop}
spec: {podSelector: {matchLabels: {app: "c\u001b[31m"}}, policyTypes: [Ingress]}
"#;
    let scenario = "title: \"t\\u001b[31m\"\npods: [pods.yaml, hostile.yaml]\nstages: [{name: \"s\\u001b[2J\", title: \"\\u009bx\"}]\n";
    let files = [
        ("scenario.yaml", scenario),
        ("hostile.yaml", hostile),
        ("pods.yaml", PODS),
    ];
    for words in ["", "-o json", "--verbose"] {
        let ran = over(&files, words)?;
        for (stream, text) in [("out", &ran.out), ("err", &ran.err)] {
            let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            let found = text.lines().find(|line| line.contains(raw));
            assert_eq!(found, None, "{words} {stream}");
        }
        assert!(matches!(ran.code, Some(0 | 2)), "{ran:?}");
    }
    assert!(!Path::new("/run/netns/..").join("npv").exists());
    Ok(())
}

#[test]
fn without_rights_one_line_says_what_is_missing() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    // Where nobody may look into the build folder, a copy can be run.
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("netpol-verify");
    fs::copy(netpol_verify_tests::binary()?, &copy)?;
    for path in [folder.path(), &copy] {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    for words in [
        "lab",
        "lab up",
        "lab verify",
        "lab down",
        "lab --clean",
        "certify --lab --suite e2e",
        "certify --lab --fuzz 1",
    ] {
        let output = std::process::Command::new(&copy)
            .args(words.split(' '))
            .uid(65534)
            .gid(65534)
            .output()?;
        let err = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(4), "{words}: {err}");
        assert_eq!(err.lines().count(), 1, "{words}: {err}");
        assert!(err.contains("root"), "{words}: {err}");
        assert!(output.stdout.is_empty());
    }
    let doctor = std::process::Command::new(&copy)
        .arg("doctor")
        .uid(65534)
        .gid(65534)
        .output()?;
    assert_eq!(doctor.status.code(), Some(4));
    assert!(String::from_utf8(doctor.stdout)?.contains("MISSING"));
    Ok(())
}
