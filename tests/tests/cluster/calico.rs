//! What `certify` says of an enforcer that works, and of one that is dead while everything looks healthy.

use anyhow::{Result, ensure};

use crate::testbed::Testbed;

const FELIX: &str = "calico-felix";
const LAST: &str = "allow-paths";

/// One test, because a dead enforcer must be brought back for the next: nodes Ready, pods Running, policies accepted all
/// the while.
#[test]
fn calico_enforces_while_felix_lives_and_what_it_left_when_it_dies() -> Result<()> {
    let testbed = Testbed::find()?;
    let ended = testbed.certify(&[])?.end()?;
    ended.expect(0, "Enforced")?;
    assert_eq!(ended.attempts(LAST, "Enforced")?.len(), 11);
    testbed.assert_clean()?;

    // Dead before the policies come: nothing is enforced.
    let mut run = testbed.certify(&["--settle", "10"])?;
    run.until("stage 2")?;
    testbed.kill(FELIX)?;
    let ended = run.end()?;
    ended.expect(1, "NotEnforced")?;
    assert_eq!(ended.attempts(LAST, "Leak")?.len(), 11);
    testbed.assert_clean()?;

    // Dead afterwards: what was denied stays denied, what is opened later does not follow.
    testbed.start_felix("2")?;
    let mut run = testbed.certify(&["--settle", "20"])?;
    run.until("stage 3")?;
    testbed.kill(FELIX)?;
    let ended = run.end()?;
    ended.expect(1, "PartiallyEnforced")?;
    assert_eq!(ended.attempts("default-deny", "Enforced")?.len(), 20);
    ensure!(!ended.attempts(LAST, "Overblock")?.is_empty(), "{}", ended.said);
    assert_eq!(ended.attempts(LAST, "Leak")?.len(), 0);
    testbed.assert_clean()?;
    testbed.start_felix("2")
}

/// Cases that change policies, labels, pods and namespaces, and those about blocks: an enforcer that works passes them, by the
/// cluster's own addresses.
#[test]
fn calico_passes_cases_that_change_everything() -> Result<()> {
    let testbed = Testbed::find()?;
    let words = [
        "--suite",
        "cyclonus",
        "--filter",
        "CY-19*",
        "--filter",
        "peer-ipblock,CY-02*",
    ];
    let ended = testbed.certify(&words)?.end()?;
    ended.expect(0, "Enforced")?;
    testbed.assert_clean()
}
