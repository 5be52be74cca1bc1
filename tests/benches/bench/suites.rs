//! Whole suites in the lab: how long, how many probes a second, against testers that wait, and as pods grow.

use std::time::{Duration, Instant};

use anyhow::Result;
use netpol_verify::{
    cluster::{ClusterState, Object, ObjectName, Pod},
    finding::Expected,
    lab::{
        RuntimeDir,
        enforcer::{EnforcerSpec, External},
        topology::{Plan, Plugins, VirtualCluster},
    },
    net::Protocol,
    suite::{Attempt, Cni, LabScene, Player, ProbePattern, Scene as _, Stand, cases::Suite, suites},
};

use crate::guide::by_connects;

/// Connects of a second each are made for one case in so many: all of them would take most of an hour.
const SAMPLE: usize = 46;
/// What a connect tester does at once, and how long each waits (Cyclonus' jobs).
const PARALLEL: u64 = 15;

pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        println!("suites: every case on the enforcing CNI, from a built lab to its last answer");
        let mut whole = Duration::ZERO;
        for suite in suites("all")? {
            whole += one(&suite).await?;
        }
        println!("  all                        {whole:>9.1?}");
        against_connects().await?;
        as_pods_grow().await
    })
}

async fn stand(state: ClusterState) -> Result<Stand> {
    let plan = Plan {
        plugins: Plugins::Never,
        ..Plan::new(Cni::Enforcing.wiring(), state.snapshot().pods)
    };
    let cluster = VirtualCluster::build(&plan, &RuntimeDir::standard()).await?;
    let enforcer = EnforcerSpec::Nftables.build(None, External::LIMIT)?;
    let mut stand = Stand::new(cluster, state, enforcer).await?;
    stand.enforce().await?;
    Ok(stand)
}

async fn one(suite: &Suite) -> Result<Duration> {
    let mut scene = LabScene::new(stand(suite.state()).await?, Duration::ZERO);
    let mut player = Player::default();
    let started = Instant::now();
    let (mut attempts, mut wrong) = (0, 0);
    for case in &suite.cases {
        if let netpol_verify::suite::Played::Case(result) = player.play(&mut scene, suite, case).await? {
            attempts += result.summary.attempts;
            wrong += result.summary.leak + result.summary.overblock + result.summary.inconclusive;
        }
    }
    let took = started.elapsed();
    println!(
        "  {:<12}{:>4} cases   {took:>9.1?}   {attempts:>7} attempts, {wrong} not as they must be   {:>7.0} attempts/s, all told",
        suite.name,
        suite.cases.len(),
        attempts as f64 / took.as_secs_f64()
    );
    scene.into_stand().down().await?;
    Ok(took)
}

/// The same paths over TCP by connects that wait a second, 15 at once: of every 46th case, and by its denied paths for all.
async fn against_connects() -> Result<()> {
    let suites = suites("cyclonus")?;
    let Some(suite) = suites.first() else {
        return Ok(());
    };
    let mut scene = LabScene::new(stand(suite.state()).await?, Duration::ZERO);
    let mut player = Player::default();
    let (mut packets, mut connects, mut denied, mut disagreements) =
        (Duration::ZERO, Duration::ZERO, 0_u64, 0);
    for case in suite.cases.iter().step_by(SAMPLE) {
        player.play(&mut scene, suite, case).await?;
        let Some(step) = case.steps.last() else { continue };
        let patterns: Vec<ProbePattern> = suite
            .patterns(step)
            .into_iter()
            .filter(|pattern| pattern.protocol == Protocol::Tcp)
            .collect();
        let started = Instant::now();
        let judged = scene.probe(&patterns, None).await?;
        packets += started.elapsed();
        let asked: Vec<Attempt> = netpol_verify::suite::attempts(&scene.state().snapshot(), &patterns);
        let (took, open) = by_connects(scene.stand(), &asked).await?;
        connects += took;
        for (attempt, open) in judged.iter().zip(open) {
            denied += u64::from(attempt.expected == Expected::Deny);
            disagreements += u64::from((attempt.expected == Expected::Allow) != open);
        }
    }
    println!(
        "  TCP of every {SAMPLE}th case: packets {packets:.3?}, connects {connects:.1?} ({denied} denied paths), ratio {:.0}, disagreements {disagreements}",
        connects.as_secs_f64() / packets.as_secs_f64()
    );
    let all: u64 = suite
        .cases
        .iter()
        .flat_map(|case| {
            let mut state = suite.state();
            case.steps.iter().map(move |step| {
                step.play(&mut state);
                let rows = suite.table(&step.expect, &state.snapshot());
                rows.iter().filter(|row| row.expect == Expected::Deny).count() as u64
            })
        })
        .sum();
    println!(
        "  the 230 by such connects would wait {} s for {all} denied paths ({PARALLEL} at once, a second each)",
        all / PARALLEL
    );
    scene.into_stand().down().await?;
    Ok(())
}

/// One case's matrix at 9, 18, 36 and 72 pods.
async fn as_pods_grow() -> Result<()> {
    let suites = suites("cyclonus")?;
    let Some(suite) = suites.first() else {
        return Ok(());
    };
    let Some(step) = suite.cases.first().and_then(|case| case.steps.first()) else {
        return Ok(());
    };
    for copies in [1, 2, 4, 8] {
        let mut state = suite.state();
        let pods = state.snapshot().pods;
        let more: Vec<Object> = (1..copies).flat_map(|copy| copies_of(&pods, copy)).collect();
        state.apply(more);
        state.apply(step.apply.iter().cloned());
        let count = state.snapshot().pods.len();
        let mut stand = stand(state).await?;
        let patterns = suite.patterns(step);
        stand.probe("warm", &patterns).await?;
        let started = Instant::now();
        let result = stand.probe("grown", &patterns).await?;
        let took = started.elapsed();
        let wrong = result.attempts.iter().filter(|one| one.is_doubtful()).count();
        println!(
            "  {count:>3} pods   {:>7} attempts, {wrong} not as they must be   {took:>9.1?}   {:>7.1?} each",
            result.attempts.len(),
            took / u32::try_from(result.attempts.len().max(1))?
        );
        stand.down().await?;
    }
    Ok(())
}

/// The pods once more under other names; the lab gives them addresses.
fn copies_of(pods: &[Pod], copy: usize) -> Vec<Object> {
    let named = pods.iter().map(|pod| {
        Object::Pod(Pod {
            name: ObjectName::new(pod.name.namespace.clone(), format!("{}-{copy}", pod.name.name)),
            ips: Vec::new(),
            ..pod.clone()
        })
    });
    named.collect()
}
