//! The guide on real packets: what each CNI makes of it.

use anyhow::{Context as _, Result};
use netpol_verify::{
    finding::{Observed, Verdict},
    net::{Family, Protocol},
    report::{Run, RunVerdict},
};
use netpol_verify_tests::{Npv, as_root};

/// TCP/80 over IPv4 between the guide's four pods at the last stage.
fn web(run: &Run) -> Vec<(&str, &str, Verdict)> {
    let last = run.stages.last().map_or("", |stage| stage.name.as_str());
    let demo = |name: &str| name.starts_with("netpol-demo/");
    run.attempts
        .iter()
        .filter(|one| {
            one.stage == last
                && (one.protocol, one.port, one.family) == (Protocol::Tcp, 80, Family::Ipv4)
                && demo(&one.from)
                && demo(&one.to)
        })
        .map(|one| (one.from.as_str(), one.to.as_str(), one.verdict))
        .collect()
}

fn count(run: &Run, verdict: Verdict) -> usize {
    web(run).iter().filter(|one| one.2 == verdict).count()
}

fn play(words: &str, code: i32) -> Result<Run> {
    let ran = Npv::new(&format!("lab -o json {words}"))?
        .run()?
        .expect(code)
        .with_context(|| words.to_owned())?;
    ran.nothing_left()?;
    assert_eq!(ran.err, "", "{words}: nothing to complain about");
    let run = ran.report().with_context(|| words.to_owned())?;
    assert_eq!(run.losses.total(), 0, "{words}");
    // Every attempt left its pod, so each was counted at least once.
    assert!(
        run.losses.seen >= u64::try_from(run.attempts.len())?,
        "{words}: {:?}",
        run.losses
    );
    Ok(run)
}

/// Whether the real plugins are there to be used.
fn plugins() -> bool {
    ["/usr/lib/cni", "/opt/cni/bin"]
        .map(std::path::Path::new)
        .iter()
        .any(|dir| dir.join("bridge").is_file() && dir.join("host-local").is_file())
}

#[test]
fn a_cni_without_an_engine_leaks_eleven_of_twelve_paths() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for (cni, bridge) in [("flannel", "cni0"), ("kubenet", "cbr0")] {
        let run = play(&format!("--cni {cni}"), 1)?;
        assert_eq!(run.verdict, RunVerdict::NotEnforced, "{cni}");
        assert_eq!(
            (count(&run, Verdict::Permitted), count(&run, Verdict::Leak)),
            (1, 11),
            "{cni}"
        );
        assert!(
            run.attempts.iter().all(|one| one.observed == Observed::Delivered),
            "{cni}"
        );
        assert_eq!(run.environment.cni, cni);
        assert!(
            run.environment.wiring.contains(bridge),
            "{}",
            run.environment.wiring
        );
        let says = if plugins() {
            "made by the CNI plugins bridge and host-local"
        } else {
            "made by netpol-verify"
        };
        assert!(
            run.environment.wiring.contains(says),
            "{}",
            run.environment.wiring
        );
    }
    Ok(())
}

#[test]
fn an_enforcing_cni_is_clean_on_every_wiring_and_number_of_nodes() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for more in [
        "",
        "",
        "--wiring routed",
        "--wiring bridge",
        "--nodes 3",
        "--nodes 3 --wiring routed",
        "--nodes 1",
    ] {
        let run = play(&format!("--cni enforcing {more}"), 0)?;
        assert_eq!(run.verdict, RunVerdict::Enforced, "{more}");
        assert_eq!(
            (count(&run, Verdict::Permitted), count(&run, Verdict::Enforced)),
            (1, 11),
            "{more}"
        );
        let clean = |verdict| matches!(verdict, Verdict::Permitted | Verdict::Enforced);
        let bad: Vec<_> = run.attempts.iter().filter(|one| !clean(one.verdict)).collect();
        assert!(bad.is_empty(), "{more}: {bad:?}");
    }
    Ok(())
}

#[test]
fn pods_bound_to_a_node_that_is_not_there_are_a_usage_error() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    // The shop binds pods to node2.
    let shop = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/shop");
    let ran = Npv::new("lab --cni enforcing --nodes 1 --scenario")?
        .arg(shop)
        .run()?
        .expect(2)?;
    let line = ran.complaint()?;
    assert!(line.contains("node2") && line.contains('1'), "{line}");
    ran.nothing_left()
}

#[test]
fn the_guides_own_policies_break_its_intent_twice_and_the_way_out_is_named() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let run = play("--cni enforcing", 0)?;
    let broken: Vec<_> = run.intent.iter().filter(|one| one.broken).collect();
    let paths: Vec<_> = broken
        .iter()
        .map(|one| (one.from.as_str(), one.to.as_str()))
        .collect();
    assert_eq!(
        paths,
        [
            ("netpol-demo/external-client", "netpol-demo/frontend"),
            ("netpol-demo/backend", "netpol-demo/database"),
        ]
    );
    for one in broken {
        assert!(
            one.by.iter().any(|by| by.contains("default-deny-egress")),
            "{:?}",
            one.by
        );
        let manifest = one.suggest.as_deref().context("a verified way out")?;
        // Taken at its word: with it the path is open, and nothing else broke.
        let folder = tempfile::tempdir()?;
        for (name, text) in guide_files()? {
            std::fs::write(folder.path().join(name), text)?;
        }
        std::fs::write(folder.path().join("suggested.yaml"), manifest)?;
        let ran = Npv::new("lab --cni enforcing -o json --scenario")?
            .arg(folder.path())
            .run()?
            .expect(0)?;
        let mended = ran.report()?;
        let open = web(&mended).into_iter().filter(|web| web.2 == Verdict::Permitted);
        let open: Vec<_> = open.map(|web| (web.0, web.1)).collect();
        assert_eq!(open.len(), 2, "{open:?}");
        assert!(open.contains(&(one.from.as_str(), one.to.as_str())), "{open:?}");
    }
    Ok(())
}

/// The guide's manifests, without its stages.
fn guide_files() -> Result<Vec<(String, String)>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../netpol-verify/scenarios/guide");
    let mut files = Vec::new();
    for name in [
        "pods.yaml",
        "default-deny.yaml",
        "allow-dns.yaml",
        "allow-paths.yaml",
    ] {
        files.push((
            name.to_owned(),
            std::fs::read_to_string(format!("{folder}/{name}"))?,
        ));
    }
    Ok(files)
}

#[test]
fn the_corrected_guide_keeps_its_intent() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let run = play("--cni enforcing --scenario guide-corrected", 0)?;
    assert_eq!(
        (count(&run, Verdict::Permitted), count(&run, Verdict::Enforced)),
        (3, 9)
    );
    assert!(!run.intent.is_empty());
    assert!(run.intent.iter().all(|one| !one.broken), "{:?}", run.intent);
    Ok(())
}
