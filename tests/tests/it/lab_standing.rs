//! The standing lab: up, apply, verify, delete, down, and what is said when the order is another.

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result};
use netpol_verify::{finding::Verdict, report::RunVerdict};
use netpol_verify_tests::{Npv, Ran, StandingLab, as_root};
use nix::sys::signal::Signal;

fn lab(words: &str, code: i32) -> Result<Ran> {
    Npv::new(&format!("lab {words}"))?
        .run()?
        .expect(code)
        .with_context(|| words.to_owned())
}

const VISITOR: &str = "
apiVersion: v1
kind: Pod
metadata: {name: visitor, namespace: netpol-demo, labels: {app: visitor}}
spec: {nodeName: node2, containers: [{name: web, image: web, ports: [{containerPort: 80}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: visitor-to-frontend, namespace: netpol-demo}
spec:
  podSelector: {matchLabels: {app: visitor}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: frontend}}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: frontend-from-visitor, namespace: netpol-demo}
spec:
  podSelector: {matchLabels: {app: frontend}}
  ingress: [{from: [{podSelector: {matchLabels: {app: visitor}}}]}]
";

const INTENT: &str = "
apiVersion: netpol-verify.io/v1alpha1
kind: Intent
paths: [{from: netpol-demo/backend, to: netpol-demo/database, port: 80}]
closed: [{from: netpol-demo/frontend, to: netpol-demo/backend, port: 80}]
";

fn verdict_of(ran: &Ran, from: &str, to: &str, port: u16) -> Result<Vec<Verdict>> {
    let run = ran.report()?;
    let path = run
        .attempts
        .iter()
        .filter(|one| (one.from.as_str(), one.to.as_str(), one.port) == (from, to, port));
    Ok(path.map(|one| one.verdict).collect())
}

#[test]
fn a_playground_takes_manifests_and_answers_for_them() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for wiring in ["", "--wiring routed"] {
        let _alone = StandingLab::alone()?;
        let up = lab(&format!("up --cni enforcing --scenario guide {wiring}"), 0)?;
        assert!(up.out.contains("netpol-demo/frontend"), "{}", up.out);

        let first = lab("verify -o json", 0)?;
        assert_eq!(first.report()?.verdict, RunVerdict::Enforced);
        first.report()?.attempts.iter().try_for_each(|one| {
            anyhow::ensure!(!one.from.contains("visitor"), "nobody was applied yet");
            Ok(())
        })?;

        let folder = tempfile::tempdir()?;
        let manifest = folder.path().join("visitor.yaml");
        fs::write(&manifest, VISITOR)?;
        let applied = Npv::new("lab apply -f")?.arg(&manifest).run()?.expect(0)?;
        assert!(
            applied.out.contains("Pod netpol-demo/visitor applied"),
            "{applied:?}"
        );
        // The same again changes nothing.
        Npv::new("lab apply -f")?.arg(&manifest).run()?.expect(0)?;

        let (visitor, frontend, backend) = (
            "netpol-demo/visitor",
            "netpol-demo/frontend",
            "netpol-demo/backend",
        );
        let second = lab("verify -o json", 0)?;
        assert_eq!(
            verdict_of(&second, visitor, frontend, 80)?,
            [Verdict::Permitted; 2]
        );
        assert_eq!(verdict_of(&second, visitor, backend, 80)?, [Verdict::Enforced; 2]);

        let intent = folder.path().join("intent.yaml");
        fs::write(&intent, INTENT)?;
        let judged = Npv::new("lab verify -o json -f")?.arg(&intent).run()?.expect(0)?;
        let judged = judged.report()?;
        let broken: Vec<_> = judged
            .intent
            .iter()
            .map(|one| (one.from.as_str(), one.broken))
            .collect();
        assert_eq!(broken, [(backend, true), (frontend, true)]);

        Npv::new("lab delete -f")?.arg(&manifest).run()?.expect(0)?;
        let third = lab("verify -o json", 0)?;
        assert_eq!(verdict_of(&third, visitor, frontend, 80)?, []);
        assert_eq!(third.report()?.attempts.len(), first.report()?.attempts.len());

        lab("down", 0)?;
        for ran in [up, first, applied, second, third] {
            ran.nothing_left()?;
        }
    }
    Ok(())
}

#[test]
fn the_wrong_order_is_said_plainly() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let _alone = StandingLab::alone()?;
    for words in [
        "verify",
        "down",
        "apply -f tests/tests/data/shop",
        "delete -f tests/tests/data/shop",
    ] {
        let ran = lab(words, 4)?;
        assert!(ran.complaint()?.contains("no lab is up"), "{words}: {ran:?}");
    }
    let up = lab("up", 0)?;
    let again = lab("up", 4)?;
    assert!(again.complaint()?.contains("up already"), "{again:?}");
    // Runs of their own live beside it, and leave it alone.
    lab("--cni enforcing", 0)?;
    lab("verify", 0)?;
    lab("down", 0)?;
    up.nothing_left()?;
    again.nothing_left()?;
    assert!(lab("down", 4)?.complaint()?.contains("no lab is up"));
    Ok(())
}

#[test]
fn a_second_command_is_told_of_the_first() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let _alone = StandingLab::alone()?;
    let up = lab("up", 0)?;
    let lock = Path::new("/run/netpol-verify/lock");
    let busy = fs::File::options().write(true).open(lock)?;
    // Held as a command holds it: for the whole of its work.
    busy.lock()?;
    for words in [
        "verify",
        "up",
        "down",
        "apply -f tests/tests/data/shop",
        "--clean",
    ] {
        let ran = lab(words, 4)?;
        assert!(
            ran.complaint()?.contains("another netpol-verify command"),
            "{words}: {ran:?}"
        );
    }
    busy.unlock()?;
    // And for real: the one that came first is done, the other says why it is not.
    let first = Npv::new("lab verify -o json")?.start()?;
    let second = Npv::new("lab verify -o json")?.start()?;
    let (first, second) = (first.wait()?, second.wait()?);
    let mut codes = [first.code, second.code];
    codes.sort_unstable();
    assert!(
        codes == [Some(0), Some(4)] || codes == [Some(0), Some(0)],
        "{first:?} {second:?}"
    );
    lab("down", 0)?;
    up.nothing_left()
}

#[test]
fn a_lab_that_was_killed_while_it_came_up_is_no_lab() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let _alone = StandingLab::alone()?;
    for after in [150, 300, 450] {
        let up = Npv::new("lab up --cni flannel")?.start()?;
        thread::sleep(Duration::from_millis(after));
        up.signal(Signal::SIGKILL)?;
        let up = up.wait()?;
        let clean = lab("--clean", 0)?;
        assert!(!clean.out.is_empty());
        up.nothing_left()
            .with_context(|| format!("killed after {after} ms"))?;
        assert!(lab("verify", 4)?.complaint()?.contains("no lab is up"));
    }
    Ok(())
}

#[test]
fn a_change_that_was_killed_half_way_can_be_made_again() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let _alone = StandingLab::alone()?;
    let up = lab("up --cni enforcing", 0)?;
    let folder = tempfile::tempdir()?;
    let manifest = folder.path().join("visitor.yaml");
    fs::write(&manifest, VISITOR)?;
    for after in [60, 120, 180, 240, 300] {
        for verb in ["apply", "delete"] {
            let change = Npv::new(&format!("lab {verb} -f"))?.arg(&manifest).start()?;
            thread::sleep(Duration::from_millis(after));
            change.signal(Signal::SIGKILL)?;
            change.wait()?;
        }
    }
    Npv::new("lab apply -f")?.arg(&manifest).run()?.expect(0)?;
    let ran = lab("verify -o json", 0)?;
    assert_eq!(
        verdict_of(&ran, "netpol-demo/visitor", "netpol-demo/frontend", 80)?,
        [Verdict::Permitted; 2]
    );
    lab("down", 0)?;
    up.nothing_left()
}

#[test]
fn a_brought_program_serves_the_standing_lab_too() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let _alone = StandingLab::alone()?;
    let up = lab("up --enforcer exec:deploy/examples/enforcer.py", 0)?;
    let ran = lab("verify -o json", 0)?;
    assert_eq!(ran.report()?.verdict, RunVerdict::Enforced);
    ran.nothing_left()?;
    lab("down", 0)?;
    up.nothing_left()
}
