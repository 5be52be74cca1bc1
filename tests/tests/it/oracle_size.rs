//! Input of hostile size: what is bounded stays bounded, what is wrong is named, and the rest is still judged.

use std::{fmt::Write as _, fs};

use anyhow::Result;
use netpol_verify_tests::{Fleet, Npv};

/// What a command may use, in KiB: far below what a bomb would take.
const MEMORY_KIB: u64 = 3 << 20;

/// Runs with a bound on memory, so that a bomb ends the test and not the machine.
fn bounded(words: &str, folder: &std::path::Path) -> Result<netpol_verify_tests::Ran> {
    let mut npv = Npv::new("")?;
    let binary = netpol_verify_tests::binary()?;
    let line = format!(
        "ulimit -v {MEMORY_KIB}; exec {} {words} -f {}",
        binary.display(),
        folder.display()
    );
    let directory = npv.command.get_current_dir().map(std::path::Path::to_owned);
    npv.command = std::process::Command::new("sh");
    npv.command
        .args(["-c", &line])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    if let Some(directory) = directory {
        npv.command.current_dir(directory);
    }
    npv.run()
}

const TWO_PODS: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x}, status: {podIP: 10.0.0.1}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: x}, status: {podIP: 10.0.0.2}}\n---\n{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: deny, namespace: x}, spec: {podSelector: {}, policyTypes: [Ingress]}}\n";

/// Each is wrong in its own way, beside three objects that are not.
#[test]
fn bombs_and_garbage_are_problems_and_the_rest_is_judged() -> Result<()> {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for level in 'b'..='k' {
        let before = (level as u8 - 1) as char;
        let _ = writeln!(
            bomb,
            "{level}: &{level} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}]"
        );
    }
    let long_line = format!("k: \"{}\"\n", "x".repeat(10 << 20));
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let wide: String = (0..200_000).map(|key| format!("k{key}: v\n")).collect();
    for (name, text, is_problem) in [
        ("bomb", bomb.as_str(), true),
        ("cycle", "a: &a [*a]\n", true),
        ("long", long_line.as_str(), true),
        ("deep", deep.as_str(), true),
        ("wide", wide.as_str(), true),
        ("bytes", "\u{0}\u{1}\u{fffd}: [\n", true),
        (
            "json",
            "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [1, null, {}, \"x\"]}",
            true,
        ),
        ("other", "kind: Thing\napiVersion: v9\n", false),
    ] {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("0-hostile.yaml"), text)?;
        fs::write(folder.path().join("1-good.yaml"), TWO_PODS)?;
        let ran = bounded("explain x/a x/b:80", folder.path())?.expect(0)?;
        assert!(ran.out.contains("DENY"), "{name}: {}", ran.out);
        assert_eq!(
            ran.err.contains("0-hostile.yaml"),
            is_problem,
            "{name}: {}",
            ran.err
        );
        assert!(
            ran.err.len() < 20_000,
            "{name}: {} bytes of complaints",
            ran.err.len()
        );
    }
    Ok(())
}

#[test]
fn a_hundred_thousand_policies_are_judged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut text = String::from(TWO_PODS);
    for policy in 0..100_000 {
        let _ = write!(
            text,
            "---\n{{\"apiVersion\": \"networking.k8s.io/v1\", \"kind\": \"NetworkPolicy\", \"metadata\": {{\"name\": \"p{policy}\", \"namespace\": \"x\"}}, \"spec\": {{\"podSelector\": {{}}, \"ingress\": [{{\"from\": [{{\"ipBlock\": {{\"cidr\": \"192.{}.{}.0/24\"}}}}], \"ports\": [{{\"port\": {}}}]}}]}}}}\n",
            policy >> 8 & 0xff,
            policy & 0xff,
            policy % 1000 + 1
        );
    }
    fs::write(folder.path().join("many.yaml"), text)?;
    let ran = bounded("explain x/a x/b:80 -o json", folder.path())?.expect(0)?;
    assert!(
        ran.out.contains("\"expect\": \"Deny\""),
        "{}",
        &ran.out[..500.min(ran.out.len())]
    );
    Ok(())
}

#[test]
fn a_cluster_of_thousands_of_pods_is_read_and_explained() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("fleet.yaml"), Fleet::of(2_000).manifests())?;
    let ran = bounded("explain ns-1/app-0-1 ns-0/app-0-0:53/UDP", folder.path())?.expect(0)?;
    assert!(ran.out.contains("ns-1/app-0-1") && ran.err.is_empty(), "{ran:?}");
    Ok(())
}
