//! An enforcer that anyone brings: a good one enforces, a bad one is an error of the environment and never a verdict.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use anyhow::{Context as _, Result};
use netpol_verify::report::RunVerdict;
use netpol_verify_tests::{Npv, Ran, as_root};

/// A program in a folder of its own.
fn program(text: &str, mode: u32) -> Result<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("enforcer");
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    Ok((folder, path))
}

fn lab_with(path: &std::path::Path, more: &str) -> Result<Ran> {
    Npv::new(&format!("lab -o json {more} --enforcer"))?
        .arg(format!("exec:{}", path.display()))
        .run()
}

#[test]
fn the_example_enforces_the_guide() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for more in [
        "--cni enforcing",
        "--cni enforcing --wiring routed",
        "--cni flannel",
    ] {
        let ran = lab_with("deploy/examples/enforcer.py".as_ref(), more)?
            .expect(0)
            .context(more)?;
        let run = ran.report()?;
        assert_eq!(run.verdict, RunVerdict::Enforced, "{more}");
        assert_eq!(run.environment.enforcer, "exec:deploy/examples/enforcer.py");
        ran.nothing_left()?;
    }
    Ok(())
}

#[test]
fn a_program_that_only_answers_enforces_nothing() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let (_keep, path) = program(
        "#!/bin/sh\nwhile read -r line; do echo \"$line\" | sed 's/.*\"generation\":\\([0-9]*\\).*/{\"generation\":\\1}/'; done\n",
        0o755,
    )?;
    let ran = lab_with(&path, "")?.expect(1)?;
    assert_eq!(ran.report()?.verdict, RunVerdict::NotEnforced);
    ran.nothing_left()
}

#[test]
fn a_wrong_program_is_named_with_its_step_and_gives_no_verdict() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let cases = [
        (
            "#!/bin/sh\nexit 3\n",
            0o755,
            "ended before it answered generation",
        ),
        (
            "#!/bin/sh\nread x; echo '\\033[31mhello'; cat\n",
            0o755,
            "answered generation",
        ),
        (
            "#!/bin/sh\nread x; echo '{\"generation\":4242}'; cat\n",
            0o755,
            "answered generation 4242 to generation",
        ),
        // What it starts goes with it.
        (
            "#!/bin/sh\nsleep 600 & sleep 600\n",
            0o755,
            "did not answer generation",
        ),
        (
            "#!/bin/sh\nread x; head -c 9000 /dev/zero; cat\n",
            0o755,
            "more than 4096 bytes",
        ),
        (
            "#!/bin/sh\necho why >&2; echo it >&2; exit 1\n",
            0o755,
            "why | it",
        ),
        ("#!/bin/sh\nexit 0\n", 0o644, "cannot be started"),
        ("no program at all\n", 0o755, "cannot be started"),
    ];
    for (text, mode, says) in cases {
        let (_keep, path) = program(text, mode)?;
        let ran = lab_with(&path, "--enforcer-timeout 1")?
            .expect(4)
            .with_context(|| text.to_owned())?;
        let line = ran.complaint()?;
        assert!(line.contains(says), "{text}: {line}");
        assert!(line.contains(&path.display().to_string()), "{text}: {line}");
        assert!(!line.contains('\u{1b}'), "{line}");
        assert_eq!(ran.out, "", "{text}: no verdict");
        ran.nothing_left().with_context(|| text.to_owned())?;
    }
    let ran = lab_with("/no/such/enforcer".as_ref(), "")?.expect(4)?;
    assert!(ran.complaint()?.contains("/no/such/enforcer"), "{ran:?}");
    ran.nothing_left()
}

#[test]
fn a_program_that_outlives_its_input_is_ended_and_told_of() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let (_keep, path) = program(
        "#!/bin/sh\nwhile read -r line; do echo \"$line\" | sed 's/.*\"generation\":\\([0-9]*\\).*/{\"generation\":\\1}/'; done\nsleep 600\n",
        0o755,
    )?;
    let ran = lab_with(&path, "--enforcer-timeout 1")?.expect(4)?;
    assert!(ran.complaint()?.contains("did not end within"), "{ran:?}");
    assert_eq!(ran.out, "");
    ran.nothing_left()
}

#[test]
fn a_fault_in_somebody_elses_program_is_a_usage_error() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for enforcer in ["none", "exec:/bin/true"] {
        let ran = Npv::new(&format!("lab --fault no-engine --enforcer {enforcer}"))?
            .run()?
            .expect(2)?;
        assert!(ran.complaint()?.contains("nftables"), "{ran:?}");
        ran.nothing_left()?;
    }
    Ok(())
}
