//! What `certify` says of CNIs that enforce nothing, and how it ends when things go wrong around it.

use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};

use crate::testbed::Testbed;

const LAST: &str = "allow-paths";

#[test]
fn the_guide_leaks_eleven_times_on_one_node_and_between_two() -> Result<()> {
    let testbed = Testbed::find()?;
    let ended = testbed.certify(&["--settle", "5"])?.end()?;
    ended.expect(1, "NotEnforced")?;
    let leaks = ended.attempts(LAST, "Leak")?;
    let same = leaks.iter().filter(|path| *path == "same-node").count();
    assert_eq!((leaks.len(), same), (11, 4));
    assert_eq!(ended.attempts(LAST, "Permitted")?.len(), 9);
    testbed.assert_clean()
}

/// Whatever dies in a run, what is not enforced never passes.
#[test]
fn killing_a_sensor_and_nats_in_a_run_never_gives_a_pass() -> Result<()> {
    let testbed = Testbed::find()?;
    for pattern in ["^/?[a-z/-]*netpol-verify sensor", "nats-server"] {
        let mut run = testbed.certify(&["--settle", "5"])?;
        run.until("stage 3")?;
        testbed.kill(pattern)?;
        let ended = run.end()?;
        ensure!(
            matches!(ended.code, Some(1 | 3 | 4)),
            "{:?}: {}",
            ended.code,
            ended.said
        );
        if ended.report.is_some() {
            assert_ne!(ended.verdict()?, "Enforced");
            assert_eq!(ended.attempts("allow-dns", "Enforced")?.len(), 0);
        }
        testbed.assert_clean()?;
    }
    Ok(())
}

#[test]
fn a_second_run_is_told_who_holds_the_lease_and_a_killed_ones_remains_are_removed() -> Result<()> {
    let testbed = Testbed::find()?;
    let mut first = testbed.certify(&[])?;
    first.until("stage 1")?;
    let second = testbed.certify(&[])?.end()?;
    assert_eq!(second.code, Some(4));
    ensure!(
        second.said.contains("has been certifying this cluster since"),
        "{}",
        second.said
    );
    kill(first.pid()?, Signal::SIGKILL)?;
    drop(first);
    ensure!(testbed.assert_clean().is_err(), "a killed run cannot clean up");
    // Until the dead one's lease has ended, nobody may take what may yet be alive.
    let mut third = testbed.certify(&["--settle", "3"])?.end()?;
    for _ in 0..60 {
        if third.code != Some(4) || !third.said.contains("has been certifying") {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
        third = testbed.certify(&["--settle", "3"])?.end()?;
    }
    third.expect(1, "NotEnforced")?;
    testbed.assert_clean()
}

#[test]
fn an_interrupted_run_removes_what_it_made() -> Result<()> {
    let testbed = Testbed::find()?;
    for mark in ["installing", "making namespaces", "stage 2"] {
        let mut run = testbed.certify(&[])?;
        run.until(mark)?;
        kill(run.pid()?, Signal::SIGINT)?;
        let ended = run.end()?;
        assert_eq!(ended.code, Some(4), "{}", ended.said);
        ensure!(ended.said.contains("interrupted"), "{}", ended.said);
        testbed.assert_clean()?;
    }
    Ok(())
}

#[test]
fn without_rights_the_verb_and_the_resource_that_lack_are_named() -> Result<()> {
    let testbed = Testbed::find()?;
    let powerless = testbed.powerless()?;
    let ended = testbed.certify_as(powerless.path(), &[])?.end()?;
    assert_eq!(ended.code, Some(4));
    for words in ["namespaces", "nobody", "kubectl auth can-i"] {
        ensure!(ended.said.contains(words), "{words}: {}", ended.said);
    }
    testbed.assert_clean()
}

#[test]
fn an_api_server_that_is_started_again_in_a_run_does_not_end_it() -> Result<()> {
    let testbed = Testbed::find()?;
    let mut run = testbed.certify(&["--settle", "5"])?;
    run.until("stage 2")?;
    testbed.restart_api_server(Duration::from_secs(4))?;
    let ended = run.end()?;
    ended.expect(1, "NotEnforced")?;
    testbed.assert_clean()
}

#[test]
fn a_namespace_that_is_deleted_in_a_run_gives_no_pass() -> Result<()> {
    let testbed = Testbed::find()?;
    let mut run = testbed.certify(&["--settle", "5"])?;
    run.until("stage 2")?;
    let deleted = [
        "delete",
        "namespace",
        "-l",
        "netpol-verify.io/run",
        "--wait=false",
    ];
    testbed.kubectl(&deleted)?;
    let ended = run.end()?;
    ensure!(
        matches!(ended.code, Some(1 | 3 | 4)),
        "{:?}: {}",
        ended.code,
        ended.said
    );
    testbed.assert_clean()
}
