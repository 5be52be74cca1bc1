//! The fuzzer on real packets: wrong enforcers are found out within few clusters and shrunk, the correct one stays clean.

use std::{path::Path, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use netpol_verify::{cluster::Loaded, policy};
use netpol_verify_tests::{Npv, as_root};
use nix::sys::signal::Signal;
use serde_json::Value;

fn hunt(words: &str, exit: i32) -> Result<Value> {
    let ran = Npv::new(&format!("certify --lab -o json {words}"))?
        .run()?
        .expect(exit)?;
    ran.nothing_left()?;
    ran.document()
}

fn number(of: &Value, key: &str) -> Result<u64> {
    of[key].as_u64().with_context(|| format!("{key} in {of:#}"))
}

/// A fault is found within some clusters, and what is left of the first is as small as it can be.
fn found(words: &str, policies: u64) -> Result<()> {
    let hunted = hunt(words, 1)?;
    ensure!(number(&hunted, "violations")? > 0, "{words}: {hunted:#}");
    let all = hunted["reproductions"].as_array().context("reproductions")?;
    ensure!(!all.is_empty(), "{words}: nothing was shrunk: {hunted:#}");
    for one in all {
        let manifest = one["manifest"].as_str().context("manifest")?;
        ensure!(
            number(one, "pods")? == 2 && number(one, "policies")? <= policies,
            "{words}: {one:#}\n{manifest}"
        );
        let loaded = Loaded::from_text(manifest, Path::new("manifest"));
        ensure!(
            loaded.problems.is_empty(),
            "{words}: {:?}\n{manifest}",
            loaded.problems
        );
        let mut state = netpol_verify::cluster::ClusterState::default();
        state.apply(loaded.objects);
        let snapshot = state.snapshot();
        let (_, problems) = policy::compile(&snapshot);
        ensure!(problems.is_empty(), "{words}: {problems:?}\n{manifest}");
        let attempt = &one["attempt"];
        for end in ["from", "to"] {
            let name = attempt[end].as_str().context("an end")?.parse()?;
            ensure!(
                snapshot.pod(&name).is_some(),
                "{words}: {name} is not in\n{manifest}"
            );
        }
        ensure!(
            matches!(attempt["verdict"].as_str(), Some("Leak" | "Overblock")),
            "{words}: {attempt:#}"
        );
    }
    Ok(())
}

#[test]
fn nobody_who_enforces_is_found_out_by_the_first_clusters() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    // One policy that denies, and two pods.
    found("--fuzz 2 --seed 1 --cni flannel", 1)
}

#[test]
fn faults_are_found_within_some_clusters_and_shrunk_to_two_pods() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for (fault, policies) in [
        ("egress-unsupported", 1),
        ("except-ignored", 1),
        ("other-family-open", 1),
        ("same-node-only", 1),
        ("deny-beats-allow", 2),
    ] {
        found(&format!("--fuzz 30 --seed 2 --fault {fault}"), policies)?;
    }
    Ok(())
}

#[test]
fn the_correct_enforcer_is_clean_on_bridges_and_routed() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for wiring in ["bridge", "routed"] {
        let hunted = hunt(&format!("--fuzz 15 --seed 3 --wiring {wiring}"), 0)?;
        ensure!(
            number(&hunted, "clusters")? == 15 && number(&hunted, "notPlayed")? == 0,
            "{hunted:#}"
        );
        let verdicts = &hunted["verdicts"];
        ensure!(
            number(verdicts, "Enforced")? > 500 && number(verdicts, "Permitted")? > 500,
            "{verdicts:#}"
        );
        ensure!(hunted["reproductions"] == Value::Array(Vec::new()), "{hunted:#}");
    }
    Ok(())
}

#[test]
fn the_same_seed_draws_and_asks_the_same() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let verdicts = |hunted: Value| hunted["verdicts"].clone();
    let one = verdicts(hunt("--fuzz 3 --seed 11", 0)?);
    ensure!(one == verdicts(hunt("--fuzz 3 --seed 11", 0)?));
    ensure!(one != verdicts(hunt("--fuzz 3 --seed 12", 0)?));
    Ok(())
}

#[test]
fn an_interrupted_hunt_leaves_nothing() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for (signal, after) in [(Signal::SIGINT, 700), (Signal::SIGTERM, 1500)] {
        let running = Npv::new("certify --lab --fuzz 100000 --seed 4 --cni flannel")?.start()?;
        thread::sleep(Duration::from_millis(after));
        running.signal(signal)?;
        let ran = running.wait()?.expect(4)?;
        ran.nothing_left()?;
        ensure!(ran.err.contains("interrupted"), "{}", ran.err);
    }
    Ok(())
}

#[test]
fn words_that_do_not_fit_are_refused() -> Result<()> {
    for words in [
        "certify --fuzz 3",
        "certify --lab --fuzz 0",
        "certify --lab --fuzz 3 --suite own",
        "certify --lab --fuzz 3 --filter In",
        "certify --lab --fuzz 3 --existing",
        "certify --lab --fuzz 3 --fault no-engine --enforcer none",
    ] {
        Npv::new(words)?.run()?.expect(2)?;
    }
    Ok(())
}
