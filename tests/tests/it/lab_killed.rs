//! Killed at any moment, a run leaves nothing that the next one does not remove; interrupted, it leaves nothing at all.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use netpol_verify_tests::{Npv, Ran, as_root, write_program};
use nix::sys::signal::Signal;

/// Moments of a run, in milliseconds: bounded, and others in every test process.
fn moments(count: u64, longest: u64) -> impl Iterator<Item = Duration> {
    let seed = u64::from(std::process::id());
    (0..count).map(move |index| Duration::from_millis(30 + (seed * 37 + index * longest / count) % longest))
}

fn cut_short(words: &str, after: Duration, signal: Signal) -> Result<Ran> {
    let running = Npv::new(words)?.start()?;
    thread::sleep(after);
    running.signal(signal)?;
    running.wait()
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let mut killed = Vec::new();
    for (index, after) in moments(8, 900).enumerate() {
        let words = [
            "lab --cni flannel",
            "lab --cni enforcing --wiring routed",
            "lab --enforcer exec:deploy/examples/enforcer.py",
        ];
        killed.push((
            after,
            cut_short(words[index % words.len()], after, Signal::SIGKILL)?,
        ));
    }
    assert!(
        killed.iter().any(|(_, ran)| ran.code.is_none()),
        "every run was over before it was killed"
    );
    let next = Npv::new("lab --cni enforcing -o json")?.run()?.expect(0)?;
    next.nothing_left()?;
    for (after, ran) in killed {
        ran.nothing_left()
            .with_context(|| format!("killed after {after:?}"))?;
    }
    Ok(())
}

#[test]
fn a_program_that_a_killed_run_had_started_is_ended_by_the_next() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (path, reached) = (folder.path().join("deaf"), folder.path().join("reached"));
    // It hears neither the end of its input nor anything else.
    write_program(
        &path,
        &format!("#!/bin/sh\ntouch {}\nsleep 600\n", reached.display()),
    )?;
    let running = Npv::new("lab --enforcer-timeout 60 --enforcer")?
        .arg(format!("exec:{}", path.display()))
        .start()?;
    while !reached.exists() {
        thread::sleep(Duration::from_millis(5));
    }
    // Its number is noted right after it is started.
    thread::sleep(Duration::from_millis(100));
    running.signal(Signal::SIGKILL)?;
    let ran = running.wait()?;
    Npv::new("lab --cni enforcing -o json")?.run()?.expect(0)?;
    ran.nothing_left()
}

#[test]
fn an_interrupted_run_says_so_and_leaves_nothing_by_itself() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let mut interrupted = 0;
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        for after in moments(6, 900) {
            let ran = cut_short("lab --cni flannel --nodes 3", after, signal)?;
            // The moment may fall before the first line of the program or after its last.
            match ran.code {
                Some(4) => {
                    interrupted += 1;
                    assert!(ran.complaint()?.contains("interrupted"), "{ran:?}");
                    assert_eq!(ran.out, "", "no verdict");
                }
                other => assert!(matches!(other, None | Some(1)), "{after:?} {ran:?}"),
            }
            ran.nothing_left()
                .with_context(|| format!("{signal} after {after:?}"))?;
        }
    }
    assert!(
        interrupted > 4,
        "only {interrupted} of 12 were interrupted in time"
    );
    Ok(())
}

#[test]
fn an_interrupted_run_takes_its_program_and_what_that_started_along() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (path, reached) = (folder.path().join("parent"), folder.path().join("reached"));
    write_program(
        &path,
        &format!("#!/bin/sh\nsleep 600 &\ntouch {}\nsleep 600\n", reached.display()),
    )?;
    let running = Npv::new("lab --enforcer-timeout 60 --enforcer")?
        .arg(format!("exec:{}", path.display()))
        .start()?;
    while !reached.exists() {
        thread::sleep(Duration::from_millis(5));
    }
    running.signal(Signal::SIGINT)?;
    let ran = running.wait()?.expect(4)?;
    ran.nothing_left()
}
