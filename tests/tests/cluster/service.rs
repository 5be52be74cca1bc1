//! The verifier in the cluster: installed by the plain manifests, it sees what others send and says what leaks.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::testbed::Testbed;

const SERVICE: &str = "/api/v1/namespaces/netpol-verify/services/netpol-verify-verifier:9464/proxy";
const DENY: &str = r#"
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny-all, namespace: "y"}
spec: {podSelector: {}, policyTypes: [Ingress]}
"#;
/// Looks at what is waited for; none of them is a time to be kept.
const LOOKS: usize = 120;

/// The manifests as a user would apply them, with the images that were loaded.
fn install(testbed: &Testbed) -> Result<()> {
    let manifests = include_str!("../../../deploy/install.yaml");
    let manifests: String = manifests
        .lines()
        .map(|line| match line.split_once("image: ") {
            Some((before, image)) if image.contains("nats") => format!("{before}image: localhost/nats:dev\n"),
            Some((before, _)) => format!("{before}image: localhost/netpol-verify:dev\n"),
            None => format!("{line}\n"),
        })
        .collect();
    testbed.apply(&manifests)?;
    let secrets = Command::new(netpol_verify_tests::binary()?)
        .arg("secrets")
        .output()?;
    testbed.apply(&String::from_utf8(secrets.stdout)?)?;
    for workload in [
        "deployment/netpol-verify-nats",
        "daemonset/netpol-verify-sensor",
        "deployment/netpol-verify-verifier",
    ] {
        testbed.kubectl(&[
            "-n",
            "netpol-verify",
            "rollout",
            "status",
            workload,
            "--timeout=180s",
        ])?;
    }
    Ok(())
}

/// Opens connections from x/a to a pod until the verifier has a finding of that code about them.
fn until_found(testbed: &Testbed, to: &str, address: &str, code: &str) -> Result<Value> {
    for _ in 0..LOOKS {
        let connect = format!("{address}:80");
        // Whether it connects is not what is asked.
        let _ = testbed.kubectl(&[
            "exec",
            "-n",
            "x",
            "a",
            "-c",
            "tcp-80",
            "--",
            "/agnhost",
            "connect",
            &connect,
            "--timeout=1s",
        ]);
        if let Ok(text) = testbed.kubectl(&["get", "--raw", &format!("{SERVICE}/v1/findings")]) {
            let found: Value = serde_json::from_str(&text)?;
            let items = found["items"].as_array().cloned().unwrap_or_default();
            let wanted = items
                .into_iter()
                .find(|one| one["code"] == code && one["from"] == "x/a" && one["to"] == to);
            if let Some(finding) = wanted {
                return Ok(finding);
            }
        }
        thread::sleep(Duration::from_secs(1));
    }
    let said = testbed.kubectl(&[
        "-n",
        "netpol-verify",
        "logs",
        "deployment/netpol-verify-verifier",
        "--tail=30",
    ])?;
    anyhow::bail!("no finding {code} from x/a to {to}; the verifier said: {said}")
}

#[test]
fn the_verifier_sees_a_leak_of_others_traffic_and_again_after_its_parts_were_killed() -> Result<()> {
    let testbed = Testbed::find()?;
    testbed.apply(&testbed.pods()?)?;
    testbed.kubectl(&[
        "wait",
        "-n",
        "x",
        "--for=condition=Ready",
        "pod",
        "--all",
        "--timeout=120s",
    ])?;
    testbed.kubectl(&[
        "wait",
        "-n",
        "y",
        "--for=condition=Ready",
        "pod",
        "--all",
        "--timeout=120s",
    ])?;
    testbed.apply(DENY)?;
    install(&testbed)?;
    let address =
        |pod: &str| testbed.kubectl(&["get", "pod", "-n", "y", pod, "-o", "jsonpath={.status.podIP}"]);
    let leak = until_found(&testbed, "y/b", &address("b")?, "NPV001")?;
    let by = leak["by"].to_string();
    ensure!(by.contains("y/deny-all"), "{by}");

    // A run beside it uses what is installed and leaves it there.
    let run = testbed.certify(&["--settle", "3"])?.end()?;
    run.expect(1, "NotEnforced")?;
    testbed.kubectl(&["-n", "netpol-verify", "get", "daemonset", "netpol-verify-sensor"])?;

    for pattern in ["netpol-verify verifier", "netpol-verify sensor", "nats-server"] {
        testbed.kill(pattern)?;
    }
    until_found(&testbed, "y/c", &address("c")?, "NPV001")?;
    let metrics = testbed.kubectl(&["get", "--raw", &format!("{SERVICE}/metrics")])?;
    ensure!(metrics.contains("netpol_verify_verdicts_total"), "{metrics}");

    testbed.kubectl(&[
        "delete",
        "namespace",
        "x",
        "y",
        "z",
        "netpol-verify",
        "--wait=true",
    ])?;
    testbed.kubectl(&[
        "delete",
        "clusterrole,clusterrolebinding",
        "netpol-verify-verifier",
    ])?;
    testbed.assert_clean()
}

impl Testbed {
    /// `kubectl apply` of a text.
    fn apply(&self, manifests: &str) -> Result<()> {
        let mut script = self.script("cluster.sh");
        script
            .args(["k", "apply", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let mut child = script.spawn()?;
        child
            .stdin
            .take()
            .context("no stdin")?
            .write_all(manifests.as_bytes())?;
        ensure!(child.wait()?.success(), "kubectl apply failed");
        Ok(())
    }

    /// The testbed's own pods, spread over two nodes.
    fn pods(&self) -> Result<String> {
        let mut script = self.script("pods.sh");
        script.arg("2");
        self.run(script)
    }
}
