//! `--fault` and `--list-faults` on the command line.

use anyhow::{Context as _, Result};
use netpol_verify::{
    lab::fault::{Fault, FaultClass},
    report::RunVerdict,
};
use netpol_verify_tests::{Npv, as_root};

const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/shop");

#[test]
fn the_flag_puts_the_fault_in_and_the_report_names_it() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for fault in ["egress-unsupported", "startup-reply-lost", "except-ignored"] {
        let ran = Npv::new("lab --cni enforcing -o json --scenario")?
            .arg(SHOP)
            .arg("--fault")
            .arg(fault)
            .run()?
            .expect(1)
            .with_context(|| fault.to_owned())?;
        let run = ran.report()?;
        assert_eq!(run.environment.fault.as_deref(), Some(fault));
        assert_eq!(run.verdict, RunVerdict::PartiallyEnforced, "{fault}");
        assert_eq!(run.summary.inconclusive, 0, "{fault}");
        ran.nothing_left()?;
    }
    Ok(())
}

#[test]
fn the_list_of_faults_names_each_under_its_class() -> Result<()> {
    let ran = Npv::new("lab --list-faults")?.run()?.expect(0)?;
    for fault in Fault::all() {
        assert!(ran.out.contains(fault.id()), "{fault}");
    }
    assert_eq!(
        ran.out.lines().count(),
        Fault::all().count() + FaultClass::ALL.len()
    );
    Ok(())
}
