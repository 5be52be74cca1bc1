//! Every fault is named by the attempts it touches and by no other: its effect on packets against the literal prediction.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use netpol_verify::{
    cluster::{ClusterState, ObjectName},
    finding::{JudgedAttempt, Observed, Verdict},
    lab::{
        RuntimeDir, World,
        enforcer::EnforcerSpec,
        fault::{Effect, Fault, touched},
        topology::{Overlay, Plan, Plugins, VirtualCluster, Wiring},
    },
    net::Protocol,
    report::RunVerdict,
    suite::{Scenario, Stand, load},
};
use netpol_verify_tests::{Npv, as_root};

const BRIDGE: Wiring = Wiring::Bridge {
    overlay: Overlay::HostGateway,
};
const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/shop");

/// What an attempt must look like under a fault that has this effect on it.
fn looks_as_predicted(one: &JudgedAttempt, effect: Option<Effect>) -> bool {
    let seen = (one.verdict, one.observed, one.only_retransmission);
    match effect {
        None => matches!(one.verdict, Verdict::Enforced | Verdict::Permitted),
        Some(Effect::Leak) => seen == (Verdict::Leak, Observed::Delivered, false),
        Some(Effect::LeakOnRetransmission { .. }) => seen == (Verdict::Leak, Observed::Delivered, true),
        Some(Effect::Overblock) => seen == (Verdict::Overblock, Observed::Dropped, false),
        Some(Effect::ReplyLost) => seen == (Verdict::Overblock, Observed::ReplyLost, false),
    }
}

fn predicted(fault: Option<Fault>, world: &World, one: &JudgedAttempt) -> Result<Option<Effect>> {
    let name = |text: &str| {
        let (namespace, name) = text.split_once('/').context("a pod's name")?;
        Ok::<_, anyhow::Error>(ObjectName::new(namespace, name))
    };
    let (from, to) = (name(&one.from)?, name(&one.to)?);
    let effect =
        fault.and_then(|fault| touched(fault, world, &from, &to, one.family, one.protocol, one.port));
    // What has no answer has none to lose: only kernels (TCP) and the name server answer here. An ICMP error about a
    // datagram is no packet of the flow, and passes.
    let answers = one.protocol == Protocol::Tcp || one.to == "kube-system/kube-dns";
    Ok(effect.filter(|effect| answers || *effect != Effect::ReplyLost))
}

/// Builds once, then plays every fault on the same pods.
async fn every_fault(scenario: &str, wiring: Wiring) -> Result<Vec<(Fault, usize)>> {
    let scenario = Scenario::load(scenario)?;
    let texts: Vec<_> = scenario
        .pods
        .iter()
        .chain(scenario.stages.iter().flat_map(|stage| &stage.apply))
        .cloned()
        .collect();
    let loaded = load(&texts);
    ensure!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let mut state = ClusterState::default();
    state.apply(loaded.objects);
    let plan = Plan {
        wiring,
        nodes: 2,
        pods: state.snapshot().pods,
        plugins: Plugins::Auto,
    };
    let mut cluster = VirtualCluster::build(&plan, &RuntimeDir::standard()).await?;
    let mut counts = Vec::new();
    // The correct enforcer first and last: no fault leaves anything behind in the rules.
    let faults = std::iter::once(None)
        .chain(Fault::ALL.into_iter().map(Some))
        .chain([None]);
    for fault in faults {
        let enforcer = EnforcerSpec::Nftables.build(fault, Duration::from_secs(10))?;
        let mut stand = Stand::new(cluster, state, enforcer).await?;
        stand.enforce().await?;
        let world = stand.world();
        let result = stand.probe("all", &scenario.probes).await?;
        ensure!(!result.attempts.is_empty(), "nothing was probed");
        let mut wrong = Vec::new();
        let mut hit = 0;
        for one in &result.attempts {
            let effect = predicted(fault, &world, one)?;
            hit += usize::from(effect.is_some());
            if !looks_as_predicted(one, effect) {
                wrong.push(format!("{effect:?} was predicted, but {one:?}"));
            }
        }
        ensure!(
            wrong.is_empty(),
            "{fault:?} {wiring:?} {}: {} of {} are wrong: {:#?}",
            scenario.name,
            wrong.len(),
            result.attempts.len(),
            wrong.iter().take(5).collect::<Vec<_>>()
        );
        if let Some(fault) = fault {
            counts.push((fault, hit));
        }
        (cluster, state, _) = stand.into_parts();
    }
    cluster.remove().await?;
    Ok(counts)
}

fn untouched(counts: &[(Fault, usize)]) -> Vec<Fault> {
    counts
        .iter()
        .filter(|(_, hit)| *hit == 0)
        .map(|(fault, _)| *fault)
        .collect()
}

#[tokio::test]
async fn every_fault_touches_what_it_must_and_nothing_else_in_the_shop_on_bridges() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let counts = every_fault(SHOP, BRIDGE).await?;
    assert_eq!(untouched(&counts), [], "each fault is to be seen: {counts:?}");
    Ok(())
}

#[tokio::test]
async fn every_fault_touches_what_it_must_and_nothing_else_in_the_shop_routed() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let counts = every_fault(SHOP, Wiring::Routed).await?;
    // Without bridges nothing goes past the rules by way of one.
    assert_eq!(untouched(&counts), [Fault::BridgeNfOff], "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn every_fault_touches_what_it_must_and_nothing_else_in_the_guide() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let flannel = Wiring::Bridge {
        overlay: Overlay::Vxlan,
    };
    // The guide has no ipBlock.
    assert_eq!(
        untouched(&every_fault("guide", flannel).await?),
        [Fault::ExceptIgnored]
    );
    assert_eq!(
        untouched(&every_fault("guide", Wiring::Routed).await?),
        [Fault::ExceptIgnored, Fault::BridgeNfOff]
    );
    Ok(())
}

#[test]
fn the_flag_puts_the_fault_in_and_the_report_names_it() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for fault in [
        Fault::EgressUnsupported,
        Fault::StartupReplyLost,
        Fault::ExceptIgnored,
    ] {
        let ran = Npv::new("lab --cni enforcing -o json --scenario")?
            .arg(SHOP)
            .arg("--fault")
            .arg(fault.id())
            .run()?
            .expect(1)
            .with_context(|| fault.to_string())?;
        let run = ran.report()?;
        assert_eq!(run.environment.fault.as_deref(), Some(fault.id()));
        assert_eq!(run.verdict, RunVerdict::PartiallyEnforced, "{fault}");
        assert_eq!(run.summary.inconclusive, 0, "{fault}");
        ran.nothing_left()?;
    }
    Ok(())
}

#[test]
fn the_list_of_faults_names_each() -> Result<()> {
    let ran = Npv::new("lab --list-faults")?.run()?.expect(0)?;
    for fault in Fault::ALL {
        assert!(ran.out.contains(fault.id()), "{fault}");
    }
    assert_eq!(ran.out.lines().count(), Fault::ALL.len());
    Ok(())
}
