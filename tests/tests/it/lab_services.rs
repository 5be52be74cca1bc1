//! Services and the outside in the lab: what is dialled is translated, what is behind it is judged, on each wiring.

use anyhow::{Context as _, Result, ensure};
use netpol_verify_tests::{Npv, as_root};
use serde_json::Value;

/// The cases of the suite `own` that go through Services or meet the outside, and how many of them deny something for sure.
const CASES: u64 = 22;
const DENYING: u64 = 19;

fn certified(words: &str, exit: i32) -> Result<Value> {
    let through = "--filter cluster-ip --filter headless --filter hairpin --filter node-port --filter from-outside --filter to-outside";
    let ran = Npv::new(&format!("certify --lab --suite own {through} -o json {words}"))?;
    let ran = ran.run()?.expect(exit)?;
    ran.nothing_left()?;
    ran.document()
}

fn count(of: &Value, path: &str) -> Result<u64> {
    of.pointer(path)
        .and_then(Value::as_u64)
        .with_context(|| format!("{path} in {of:#}"))
}

#[test]
fn what_is_behind_a_service_and_what_is_outside_is_judged_on_bridges_and_routed() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for wiring in ["bridge", "routed"] {
        let run = certified(&format!("--wiring {wiring}"), 0)?;
        ensure!(
            count(&run, "/counts/passed")? == CASES,
            "{wiring}: {:#}",
            run["counts"]
        );
        ensure!(
            count(&run, "/summary/inconclusive")? == 0,
            "{wiring}: {:#}",
            run["summary"]
        );
        ensure!(
            count(&run, "/summary/unspecified")? > 0,
            "{wiring}: {:#}",
            run["summary"]
        );
    }
    Ok(())
}

#[test]
fn where_nobody_enforces_every_case_that_denies_leaks() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let run = certified("--cni flannel", 1)?;
    ensure!(count(&run, "/counts/failed")? == DENYING, "{:#}", run["counts"]);
    ensure!(count(&run, "/counts/inconclusive")? == 0, "{:#}", run["counts"]);
    // Nothing that is allowed is lost on its way through the translation.
    ensure!(count(&run, "/summary/overblock")? == 0, "{:#}", run["summary"]);
    Ok(())
}
