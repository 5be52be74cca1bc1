//! The false-alarm figure: the correct enforcers, more than a thousand times over the matrices that show every fault.

use std::time::Instant;

use anyhow::{Result, ensure};
use netpol_verify::{
    cluster::ClusterState,
    finding::Verdict,
    lab::{
        RuntimeDir,
        enforcer::{EnforcerSpec, External},
        topology::{Overlay, Plan, Plugins, VirtualCluster, Wiring},
    },
    suite::{Scenario, Stand, load},
};

const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/faults");
/// How often the matrix is repeated on each wiring by each enforcer; `NPV_ROUNDS` says otherwise.
const ROUNDS: usize = 200;

pub(crate) fn run() -> Result<()> {
    let rounds = std::env::var("NPV_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bridge = Wiring::Bridge {
        overlay: Overlay::Vxlan,
    };
    let (mut attempts, mut alarms) = (0, 0);
    for wiring in [bridge, Wiring::Routed] {
        for enforcer in [EnforcerSpec::Nftables, EnforcerSpec::Ipset, EnforcerSpec::Tc] {
            let (asked, wrong) = runtime.block_on(on(wiring, &enforcer, rounds.unwrap_or(ROUNDS)))?;
            attempts += asked;
            alarms += wrong;
        }
    }
    println!("false alarms: {alarms} in {attempts} attempts in all");
    ensure!(alarms == 0, "{alarms} false alarms");
    Ok(())
}

/// How many attempts were made of a correct enforcer on one wiring, and how many of them were judged wrong.
async fn on(wiring: Wiring, spec: &EnforcerSpec, rounds: usize) -> Result<(usize, usize)> {
    let scenario = Scenario::load(SCENARIO)?;
    let stages = scenario.stages.iter().flat_map(|stage| &stage.apply);
    let texts: Vec<_> = scenario.pods.iter().chain(stages).cloned().collect();
    let mut state = ClusterState::default();
    state.apply(load(&texts).objects);
    let plan = Plan {
        plugins: Plugins::Auto,
        ..Plan::new(wiring, state.snapshot().pods)
    };
    let cluster = VirtualCluster::build(&plan, &RuntimeDir::standard()).await?;
    let enforcer = spec.build(None, External::LIMIT)?;
    let mut stand = Stand::new(cluster, state, enforcer).await?;
    stand.enforce().await?;
    let (mut attempts, mut alarms, mut inconclusive) = (0, 0, 0);
    let started = Instant::now();
    for _ in 0..rounds {
        for one in stand.probe("all", &scenario.probes).await?.attempts {
            attempts += 1;
            match one.verdict {
                Verdict::Leak | Verdict::Overblock => {
                    alarms += 1;
                    println!("  {one:?}");
                }
                Verdict::Inconclusive => inconclusive += 1,
                Verdict::Enforced | Verdict::Permitted | Verdict::Unspecified => {}
            }
        }
    }
    println!(
        "false alarms: {wiring}, {spec}, {rounds} repetitions: {alarms} alarms and {inconclusive} inconclusive in {attempts} attempts, {:.0?}",
        started.elapsed()
    );
    stand.down().await?;
    Ok((attempts, alarms))
}
