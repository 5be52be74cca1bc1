//! `certify --lab` while enforcers restart, pods start and others change: what was in force must go on to be.

use anyhow::{Context as _, Result};
use netpol_verify::report::{CaseVerdict, Certification, MomentKind, MomentSummary};
use netpol_verify_tests::{Npv, as_root, write_program};

/// The cases that restart somebody, and the one in which a pod starts.
const MOMENTS: &str = "certify --lab --suite own --filter restart --filter start-up -o json";

fn failed(run: &Certification) -> Vec<&str> {
    let failed = run
        .cases
        .iter()
        .filter(|case| case.verdict == CaseVerdict::Failed);
    failed.map(|case| case.id.as_str()).collect()
}

/// Everything that is wrong in such moments.
fn wrong(seen: MomentSummary) -> u64 {
    seen.leaks + seen.overblocks + seen.unknown
}

#[test]
fn no_enforcer_that_is_right_opens_or_closes_anything_while_it_restarts() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let program = concat!(
        "--enforcer exec:",
        env!("CARGO_MANIFEST_DIR"),
        "/../deploy/examples/enforcer.py"
    );
    for (enforcer, wiring) in [
        ("--enforcer nftables", "bridge"),
        ("--enforcer ipset", "routed"),
        ("--enforcer tc", "bridge"),
        (program, "routed"),
    ] {
        let ran = Npv::new(&format!("{MOMENTS} --filter update {enforcer} --wiring {wiring}"))?
            .run()?
            .expect(0)?;
        let run = ran.document::<Certification>()?;
        let (restart, start_up, change) = (run.moments.restart, run.moments.start_up, run.moments.change);
        assert_eq!((restart.moments, start_up.moments), (4, 2), "{enforcer}");
        let all_wrong = [restart, start_up, change].map(wrong);
        assert_eq!(all_wrong, [0, 0, 0], "{enforcer}: {:?}", run.moments);
        // Nine changes are looked at while they are made, once at least.
        assert!(change.moments >= 9, "{enforcer}: {change:?}");
        assert!(change.attempts >= 9 * 2 * 144, "{enforcer}: {change:?}");
        // Each restart is looked at before it, at its start and when it has caught up, and the matrix has 576 paths.
        assert!(restart.attempts >= 4 * 3 * 576, "{enforcer}: {restart:?}");
        assert!(start_up.attempts >= 128, "{enforcer}: {start_up:?}");
        ran.nothing_left()?;
    }
    Ok(())
}

#[test]
fn what_an_agent_gets_wrong_at_its_start_or_a_pods_is_a_finding_that_no_budget_excuses() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for (fault, cases) in [
        (
            "hooks-detached-at-agent-start",
            &["OWN-134", "OWN-135", "OWN-136", "OWN-137"][..],
        ),
        ("restart-drops-allowed", &["OWN-135", "OWN-136", "OWN-137"]),
        ("start-wipes-peers", &["OWN-135", "OWN-136"]),
        ("startup-fail-open", &["OWN-138"]),
    ] {
        let ran = Npv::new(&format!("{MOMENTS} --fault {fault} --settle 5"))?
            .run()?
            .expect(1)?;
        let run = ran.document::<Certification>()?;
        assert_eq!(failed(&run), cases, "{fault}");
        let (leaks, overblocks) = match fault {
            "startup-fail-open" => (run.moments.start_up.leaks, 0),
            _ => (run.moments.restart.leaks, run.moments.restart.overblocks),
        };
        assert_eq!(
            leaks > 0,
            fault.contains("open") || fault.contains("detached"),
            "{fault}"
        );
        assert_eq!(
            overblocks > 0,
            fault.contains("drops") || fault.contains("wipes"),
            "{fault}"
        );
        ran.nothing_left()?;
    }
    Ok(())
}

/// A program that enforces well, and takes its rules away for so many seconds before they are loaded: when it starts, or with
/// every change. It may also say first that it is done.
const CARELESS: &str = r#"#!/usr/bin/env python3
import json, subprocess, sys, time

inner = subprocess.Popen([ENFORCER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
first = True
for line in sys.stdin:
    cluster = json.loads(line)
    if EARLY:
        print(json.dumps({"generation": cluster["generation"]}), flush=True)
    if first or ALWAYS:
        for node in cluster["nodes"]:
            subprocess.run(["ip", "netns", "exec", node["netns"].split("/")[-1], "nft", "delete table inet example_policy"],
                           stderr=subprocess.DEVNULL)
        time.sleep(SECONDS)
        first = False
    inner.stdin.write(line)
    inner.stdin.flush()
    answer = inner.stdout.readline()
    if not EARLY:
        print(answer, end="", flush=True)
inner.stdin.close()
inner.wait()
"#;

/// What is found of such a program by some cases of `own`.
fn careless(filter: &str, words: [(&str, &str); 3]) -> Result<Certification> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("careless.py");
    let enforcer = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples/enforcer.py");
    let text = CARELESS.replace("ENFORCER", &format!("{enforcer:?}"));
    let text = words
        .iter()
        .fold(text, |text, (word, value)| text.replace(word, value));
    write_program(&program, &text)?;
    let words = format!(
        "certify --lab --suite own --filter {filter} -o json --enforcer exec:{}",
        program.display()
    );
    let ran = Npv::new(&words)?.run()?.expect(1)?;
    let run = ran.document()?;
    ran.nothing_left()?;
    Ok(run)
}

#[test]
fn a_window_that_no_fault_of_ours_describes_is_seen_while_a_program_restarts() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let run = careless(
        "OWN-134",
        [("ALWAYS", "False"), ("EARLY", "False"), ("SECONDS", "1")],
    )?;
    assert_eq!(failed(&run), ["OWN-134"]);
    assert!(run.moments.restart.leaks > 0, "{:?}", run.moments);
    assert!(run.moments.restart.last_wrong_micros.is_some());
    let proof = run
        .cases
        .first()
        .and_then(|case| case.proof.as_ref())
        .context("a proof")?;
    assert_eq!(proof.moment, Some(MomentKind::Restart));
    Ok(())
}

#[test]
fn a_program_that_takes_away_what_a_change_does_not_concern_is_found_whatever_it_says() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for early in ["False", "True"] {
        let run = careless(
            "update",
            [("ALWAYS", "True"), ("EARLY", early), ("SECONDS", "0.1")],
        )?;
        assert!(run.moments.change.leaks > 0, "{early}: {:?}", run.moments);
        // Who says too early that it is done may be wrong after that, too.
        if early == "False" {
            assert_eq!(failed(&run), ["OWN-140", "OWN-141", "OWN-142", "OWN-143"]);
            for case in &run.cases {
                let proof = case.proof.as_ref().context("a proof")?;
                assert_eq!(proof.moment, Some(MomentKind::Change), "{}", case.id);
            }
        }
    }
    Ok(())
}
