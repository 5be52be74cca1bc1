//! The words of the command line: help, doctor, completions, manual pages, and pipes that close early.

use std::{
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use netpol_verify_tests::{Npv, as_root, binary};

#[test]
fn every_command_helps_and_names_the_exit_codes() -> Result<()> {
    for words in [
        "--help",
        "lab --help",
        "lab up --help",
        "lab verify --help",
        "lint --help",
        "doctor --help",
        "matrix --help",
        "--version",
    ] {
        let ran = Npv::new(words)?.run()?.expect(0)?;
        assert!(!ran.out.is_empty() && ran.err.is_empty(), "{ran:?}");
        assert!(!ran.out.contains('\u{1b}'), "{words}: colour in a pipe");
    }
    let help = Npv::new("--help")?.run()?.out;
    // Wrapped to the width of nobody's terminal.
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for code in [
        "0 everything enforced",
        "1 a violation",
        "2 usage",
        "3 inconclusive",
        "4 the environment",
    ] {
        assert!(help.contains(code), "{code}: {help}");
    }
    Ok(())
}

#[test]
fn doctor_knows_this_machine() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let table = Npv::new("doctor")?.run()?.expect(0)?;
    assert!(
        table.out.contains("BTF") && !table.out.contains("MISSING"),
        "{}",
        table.out
    );
    let json: serde_json::Value = Npv::new("doctor -o json")?.run()?.expect(0)?.document()?;
    let findings = json.as_array().context("a list")?;
    assert_eq!(findings.len(), table.out.lines().count());
    assert!(
        findings
            .iter()
            .all(|one| one["ok"].is_boolean() && one["what"].is_string())
    );
    Ok(())
}

#[test]
fn completions_and_manual_pages_name_the_commands() -> Result<()> {
    for shell in ["bash", "zsh", "fish"] {
        let ran = Npv::new(&format!("completions {shell}"))?.run()?.expect(0)?;
        assert!(ran.out.contains("doctor") && ran.out.contains("lab"), "{shell}");
    }
    let bash = Npv::new("completions bash")?.run()?.out;
    let mut syntax = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn()?;
    std::io::Write::write_all(&mut syntax.stdin.take().context("a pipe")?, bash.as_bytes())?;
    assert!(syntax.wait()?.success());
    let page = Npv::new("man")?.run()?.expect(0)?;
    assert!(
        page.out.starts_with(".ie") || page.out.contains(".TH"),
        "{}",
        page.out
    );
    let folder = tempfile::tempdir()?;
    Npv::new("man --out")?
        .arg(folder.path().join("pages"))
        .run()?
        .expect(0)?;
    let pages = std::fs::read_dir(folder.path().join("pages"))?.count();
    assert!(pages > 5, "one for each command, not {pages}");
    Ok(())
}

#[test]
fn a_pipe_gets_neither_colour_nor_progress() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let plain = Npv::new("lab --cni flannel")?.run()?.expect(1)?;
    assert_eq!(plain.err, "");
    assert!(!plain.out.contains('\u{1b}') && !plain.out.contains('\r'));
    assert!(
        plain.out.contains("LEAK") && plain.out.contains("NOT ENFORCED"),
        "{}",
        plain.out
    );
    Ok(())
}

/// Runs under `script`, which gives it a terminal.
fn on_a_terminal(no_colour: bool) -> Result<Option<String>> {
    let mut command = Command::new("script");
    command
        .arg("-qec")
        .arg(format!("{} lab --cni flannel", binary()?.display()))
        .arg("/dev/null")
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR");
    if no_colour {
        command.env("NO_COLOR", "1");
    }
    match command.stdin(Stdio::null()).output() {
        Ok(output) => Ok(Some(String::from_utf8(output.stdout)?)),
        Err(_) => Ok(None),
    }
}

#[test]
fn a_terminal_gets_colour_unless_no_color_is_set() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let Some(coloured) = on_a_terminal(false)? else {
        println!("SKIPPED: `script` is not installed, so there is no terminal to give");
        return Ok(());
    };
    let is_coloured =
        |text: &str| text.contains("\u{1b}[3") || text.contains("\u{1b}[1") || text.contains("\u{1b}[9");
    assert!(is_coloured(&coloured), "{coloured:?}");
    let plain = on_a_terminal(true)?.context("it was there before")?;
    let report = plain
        .split("Are the NetworkPolicies")
        .nth(1)
        .context("a report")?;
    assert!(!is_coloured(report), "{report:?}");
    Ok(())
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for (words, code) in [
        ("lab --cni enforcing", 0),
        ("lab --cni flannel -o json", 1),
        ("lab --list-faults", 0),
        ("doctor", 0),
        ("doctor -o json", 0),
        ("completions bash", 0),
        ("man", 0),
        ("--help", 0),
    ] {
        let mut child = Command::new(binary()?)
            .args(words.split(' '))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().context("a pipe")?.read_to_string(&mut err)?;
        let status = child.wait()?;
        assert_eq!(
            (status.code(), status.signal()),
            (Some(code), None),
            "{words}: {err}"
        );
        assert_eq!(err, "", "{words}");
    }
    Ok(())
}
