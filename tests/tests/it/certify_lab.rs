//! `certify --lab`: every case of every suite on real packets, and what becomes of a run that is interrupted.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use netpol_verify::{
    finding::Expected,
    report::{CaseVerdict, Certification, RunVerdict},
    suite::{cases::Suite, suites},
};
use netpol_verify_tests::{Npv, Ran, as_root};
use nix::sys::signal::Signal;

/// How many attempts of each case must be stopped, by the tables that were written by hand.
fn denied(suites: &[Suite]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for suite in suites {
        for case in &suite.cases {
            let mut state = suite.state();
            let count = counts.entry(case.id.clone()).or_insert(0);
            for step in &case.steps {
                step.play(&mut state);
                let rows = suite.table(&step.expect, &state.snapshot());
                *count += rows.iter().filter(|row| row.expect == Expected::Deny).count() as u64;
            }
        }
    }
    counts
}

#[test]
fn a_cni_that_enforces_passes_every_case_of_every_suite() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let ran = Npv::new("certify --lab --cni enforcing --suite all -o json")?
        .run()?
        .expect(0)?;
    let run = ran.document::<Certification>()?;
    let failed: Vec<&str> = run
        .cases
        .iter()
        .filter(|case| case.verdict != CaseVerdict::Passed)
        .map(|case| case.id.as_str())
        .collect();
    assert_eq!((run.verdict, failed.as_slice()), (RunVerdict::Enforced, &[][..]));
    let played: BTreeMap<&str, u64> = run
        .suites
        .iter()
        .map(|suite| (suite.name.as_str(), suite.counts.passed))
        .collect();
    assert_eq!((played["cyclonus"], played["e2e"], played["cnp"]), (230, 51, 24));
    assert!(played["own"] >= 100, "{played:?}");
    assert_eq!(run.refused, []);
    assert!(run.settling.allow_to_deny.is_some() && run.settling.deny_to_allow.is_some());
    assert_eq!(run.settling.unsettled, 0);
    ran.nothing_left()?;
    Ok(())
}

#[test]
fn a_cni_that_enforces_nothing_leaks_at_every_attempt_that_the_tables_deny() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let ran = Npv::new("certify --lab --cni flannel --suite cyclonus -o json")?
        .run()?
        .expect(1)?;
    let run = ran.document::<Certification>()?;
    assert_eq!(run.verdict, RunVerdict::NotEnforced);
    assert_eq!(
        (
            run.summary.enforced,
            run.summary.overblock,
            run.summary.inconclusive
        ),
        (0, 0, 0)
    );
    let denied = denied(&suites("cyclonus")?);
    for case in &run.cases {
        assert_eq!(case.summary.leak, denied[&case.id], "{}", case.id);
        assert_eq!(case.proof.is_some(), case.summary.leak > 0, "{}", case.id);
    }
    // As many as Cyclonus itself finds on such a CNI, which asks over IPv4 alone: ten of its default cases deny nothing there.
    let suite = run.suites.first().context("a suite")?;
    assert_eq!(
        (suite.by_default.played, suite.by_default_over_ipv4.failed),
        (112, 102)
    );
    ran.nothing_left()?;
    Ok(())
}

#[test]
fn a_wrong_enforcer_fails_where_it_is_wrong_and_the_report_says_which_feature() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let words = "certify --lab --suite cyclonus --filter CY-02* -o json";
    let good = Npv::new(words)?.run()?.expect(0)?;
    let before = folder.path().join("before.json");
    fs::write(&before, &good.out)?;
    let wrong = Npv::new(words)?.arg("--fault=except-ignored").run()?.expect(1)?;
    let run = wrong.document::<Certification>()?;
    assert_eq!(run.verdict, RunVerdict::PartiallyEnforced);
    let never: Vec<&str> = run
        .features
        .iter()
        .filter(|feature| feature.always_fails())
        .map(|feature| feature.name.as_str())
        .collect();
    assert_eq!(never, ["ip-block-with-except"]);
    let failed = run.cases.iter().find(|case| case.verdict == CaseVerdict::Failed);
    let proof = failed.and_then(|case| case.proof.as_ref()).context("a proof")?;
    assert!(proof.manifest.contains("except"), "{}", proof.manifest);

    let table = Npv::new(&words.replace("-o json", "--fault=except-ignored"))?
        .arg("--compare")
        .arg(&before)
        .run()?
        .expect(1)?;
    assert!(
        table.out.contains("no case passes with ip-block-with-except"),
        "{}",
        table.out
    );
    assert!(
        table.out.contains("passed → failed: cyclonus CY-022"),
        "{}",
        table.out
    );
    table.nothing_left()?;
    Ok(())
}

#[test]
fn an_interrupted_run_goes_on_where_it_was() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let home = tempfile::tempdir()?;
    let words = "certify --lab --suite cyclonus --filter CY-00* --filter CY-01* -o json";
    let mut first = Npv::new(words)?;
    first.command.env("XDG_STATE_HOME", home.path());
    let running = first.start()?;
    let runs = home.path().join("netpol-verify/runs");
    let kept = |runs: &Path| -> usize {
        let files = fs::read_dir(runs).into_iter().flatten().flatten();
        let lines = files.filter_map(|file| fs::read_to_string(file.path()).ok());
        lines.map(|text| text.lines().count()).sum()
    };
    // The head, and three cases.
    let deadline = Instant::now() + Duration::from_secs(120);
    while kept(&runs) < 4 {
        ensure!(Instant::now() < deadline, "no case was played in two minutes");
        thread::sleep(Duration::from_millis(50));
    }
    running.signal(Signal::SIGINT)?;
    let ran = running.wait()?.expect(4)?;
    ran.nothing_left()?;
    let (_, rest) = ran.err.rsplit_once("--resume ").context(ran.err.clone())?;
    let name = rest.split_whitespace().next().context("a name")?;

    let elsewhere =
        with_state(&words.replace("--lab", "--lab --cni flannel"), home.path(), name)?.expect(2)?;
    assert!(elsewhere.err.contains("not mixed"), "{}", elsewhere.err);
    let ran = with_state(words, home.path(), name)?.expect(0)?;
    let run = ran.document::<Certification>()?;
    assert_eq!((run.counts.played, run.counts.passed), (19, 19));
    assert!(
        run.environment
            .notes
            .iter()
            .any(|note| note.contains("interrupted run")),
        "{:?}",
        run.environment.notes
    );
    assert_eq!(kept(&runs), 0, "a run that came to its end leaves no record");
    ran.nothing_left()?;
    Ok(())
}

fn with_state(words: &str, home: &Path, run: &str) -> Result<Ran> {
    let mut command = Npv::new(words)?.arg("--resume").arg(run);
    command.command.env("XDG_STATE_HOME", home);
    command.run()
}

#[test]
fn bad_words_and_bad_cases_are_named_before_anything_is_built() -> Result<()> {
    for (words, said) in [
        (
            "certify --lab --suite cyclonus --filter nonsense",
            "no case of cyclonus",
        ),
        ("certify --lab --suite cyclonus --shard 3/2", "no shard"),
        (
            "certify --lab --suite guide --filter ingress",
            "--filter is about cases",
        ),
        (
            "certify --lab --suite e2e --cni calico",
            "flannel, kubenet or enforcing",
        ),
        ("certify --lab --suite e2e --resume nobody", "no run nobody"),
        ("certify --suite e2e --fault no-engine", "--lab"),
        (
            "certify --lab --suite e2e --compare /no/such/file",
            "/no/such/file",
        ),
        ("certify --suite e2e --resume nobody", "no run nobody"),
        (
            "certify --lab --suite cyclonus --conformance /tmp/never.yaml",
            "the suite cnp",
        ),
        ("certify --suite guide --settle 0", "--settle 0"),
    ] {
        let ran = Npv::new(words)?
            .run()?
            .expect(2)
            .with_context(|| words.to_owned())?;
        assert!(ran.err.contains(said), "{words}: {}", ran.err);
    }
    let folder = tempfile::tempdir()?;
    let suite = folder.path().join("mine");
    fs::create_dir(&suite)?;
    fs::write(
        suite.join("suite.yaml"),
        "apiVersion: netpol-verify.io/v1alpha1\nkind: Suite\ntitle: Mine\nworld: world.yaml\nports: [80/TCP]\nfeatures: {}\ncases: [one.yaml]\n",
    )?;
    fs::write(
        suite.join("world.yaml"),
        "kind: Namespace\napiVersion: v1\nmetadata: {name: x}\n",
    )?;
    fs::write(
        suite.join("one.yaml"),
        "apiVersion: netpol-verify.io/v1alpha1\nkind: Cases\ncases:\n- {id: A, title: t, features: [], steps: [{apply: [{like: nothing}], expect: {ingress: {}, egress: {}}}]}\n",
    )?;
    let ran = Npv::new("certify --lab --suite")?.arg(&suite).run()?.expect(2)?;
    ensure!(
        ran.err.contains("one.yaml") && ran.err.contains("apply[0].like"),
        "{}",
        ran.err
    );
    Ok(())
}
