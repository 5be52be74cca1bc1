//! The lab's enforcers on real packets: the administrators' tiers as the suite `cnp` has them, the guide and the shop, without one
//! surprise, and nothing left of the rules.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use netpol_verify::{
    cluster::{ClusterState, Kind, Loaded, Object, ObjectKey, ObjectName},
    finding::Verdict,
    lab::{
        RuntimeDir,
        enforcer::{AnyEnforcer, Enforcer as _, EnforcerSpec, Tc},
        topology::{Overlay, Plan, Plugins, VirtualCluster, Wiring},
    },
    report::RunVerdict,
    suite::{
        ProbePattern, Scenario, StageResult, Stand,
        cases::{Step, Suite, Target},
        load,
    },
};
use netpol_verify_tests::{Npv, as_root};

/// Each enforcer of the lab's own, and the reasons that the kernel gives for its drops.
const ENFORCERS: [(&str, &[&str]); 3] = [
    ("nftables", &["NETFILTER_DROP"]),
    ("ipset", &["NETFILTER_DROP"]),
    ("tc", &["TC_INGRESS", "TC_EGRESS"]),
];
const WIRINGS: [Wiring; 2] = [
    Wiring::Bridge {
        overlay: Overlay::HostGateway,
    },
    Wiring::Routed,
];
const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/shop");

/// What the original asks after a step.
fn originals(step: &Step) -> Vec<ProbePattern> {
    let probes = step.expect.probes.iter();
    probes
        .filter_map(|probe| match &probe.to {
            Target::Pods(to) => Some(ProbePattern {
                from: probe.from.clone(),
                to: to.clone(),
                port: probe.port.number,
                protocol: probe.port.protocol,
                door: None,
            }),
            Target::Door(_) => None,
        })
        .collect()
}

/// Every pair of pods on every port of the suite.
fn everything(suite: &Suite) -> Result<Vec<ProbePattern>> {
    let ports = suite.ports.iter();
    ports
        .map(|port| {
            Ok(ProbePattern {
                from: "*/*".parse()?,
                to: "*/*".parse()?,
                port: port.number,
                protocol: port.protocol,
                door: None,
            })
        })
        .collect()
}

/// How many attempts were permitted and how many enforced; no other verdict is to be.
fn as_required(result: &StageResult, at: &str) -> Result<[usize; 2]> {
    let count = |verdict| {
        let attempts = result.attempts.iter();
        attempts.filter(|one| one.verdict == verdict).count()
    };
    let good = [count(Verdict::Permitted), count(Verdict::Enforced)];
    let wrong: Vec<_> = result
        .attempts
        .iter()
        .filter(|one| !matches!(one.verdict, Verdict::Permitted | Verdict::Enforced))
        .collect();
    ensure!(
        wrong.is_empty(),
        "{at}: {} of {} are otherwise than required: {:#?}",
        wrong.len(),
        result.attempts.len(),
        wrong.iter().take(3).collect::<Vec<_>>()
    );
    Ok(good)
}

fn maker(enforcer: &str) -> Result<AnyEnforcer> {
    let spec: EnforcerSpec = enforcer.parse()?;
    Ok(spec.build(None, Duration::from_secs(10))?)
}

async fn stand(state: ClusterState, enforcer: AnyEnforcer, wiring: Wiring) -> Result<Stand> {
    let plan = Plan {
        wiring,
        nodes: 2,
        pods: state.snapshot().pods,
        plugins: Plugins::Auto,
    };
    let cluster = VirtualCluster::build(&plan, &RuntimeDir::standard()).await?;
    Ok(Stand::new(cluster, state, enforcer).await?)
}

/// Plays every step of every case on one set of pods: what the original asks, and every pair on every port at some of them.
async fn every_step(suite: &Suite, enforcer: &str, wiring: Wiring) -> Result<[usize; 2]> {
    let patterns = everything(suite)?;
    let mut stand = stand(suite.state(), maker(enforcer)?, wiring).await?;
    let mut total = [0, 0];
    let mut played = 0;
    for case in &suite.cases {
        for step in &case.steps {
            stand.apply(step.apply.clone()).await?;
            stand.delete(step.delete.clone()).await?;
            let at = format!("{enforcer}, {wiring:?}, {}, {:?}", case.id, step.place);
            let asked = if played % 12 == 0 {
                patterns.clone()
            } else {
                originals(step)
            };
            let result = stand.probe("all", &asked).await.with_context(|| at.clone())?;
            let [permitted, enforced] = as_required(&result, &at)?;
            total = [total[0] + permitted, total[1] + enforced];
            played += 1;
        }
        let policies = case.steps.iter().flat_map(|step| &step.apply).map(Object::key);
        let is_policy = |key: &ObjectKey| matches!(key.kind, Kind::AdminPolicy(_) | Kind::NetworkPolicy);
        stand.delete(policies.filter(is_policy).collect()).await?;
    }
    ensure!(played == 92, "{played} steps");
    stand.down().await?;
    Ok(total)
}

#[tokio::test]
async fn the_tiers_of_administrators_hold_by_each_enforcer() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let suite = Suite::load("cnp")?;
    for (enforcer, _) in ENFORCERS {
        for wiring in WIRINGS {
            let [permitted, enforced] = every_step(&suite, enforcer, wiring).await?;
            println!("{enforcer}, {wiring:?}: {permitted} permitted, {enforced} enforced");
            assert!(enforced > 500 && permitted > 3000, "{permitted}, {enforced}");
        }
    }
    Ok(())
}

#[test]
fn the_guide_and_the_shop_hold_by_each_enforcer_and_nothing_is_left() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for (enforcer, reasons) in ENFORCERS {
        for wiring in ["bridge", "routed"] {
            for (scenario, enforced) in [("guide", 60), (SHOP, 100)] {
                let at = format!("{enforcer}, {wiring}, {scenario}");
                let words =
                    format!("lab -o json --enforcer {enforcer} --wiring {wiring} --scenario {scenario}");
                let ran = Npv::new(&words)?.run()?.expect(0).with_context(|| at.clone())?;
                ran.nothing_left()?;
                assert_eq!(ran.err, "", "{at}");
                let run = ran.report()?;
                assert_eq!(run.verdict, RunVerdict::Enforced, "{at}");
                assert_eq!(run.environment.enforcer, enforcer, "{at}");
                assert_eq!(
                    run.summary.leak + run.summary.overblock + run.summary.inconclusive,
                    0,
                    "{at}"
                );
                assert!(run.summary.enforced > enforced, "{at}: {:?}", run.summary);
                let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
                for one in run.attempts.iter().filter(|one| one.verdict == Verdict::Enforced) {
                    *seen.entry(one.reason.as_deref().unwrap_or("none")).or_default() += 1;
                }
                // Nothing else is met, and in the shop, which denies in both directions, each of them.
                let fits = |one: &str| seen.keys().any(|reason| reason.starts_with(one));
                let known = |reason: &str| reasons.iter().any(|one| reason.starts_with(one));
                assert!(
                    seen.keys().all(|reason| known(reason))
                        && (scenario == "guide" || reasons.iter().all(|one| fits(one))),
                    "{at}: {seen:?}"
                );
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn where_the_kernel_has_no_tcx_filters_do_the_same() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let shop = Scenario::load(SHOP)?;
    let texts: Vec<_> = shop
        .pods
        .iter()
        .chain(shop.stages.iter().flat_map(|stage| &stage.apply))
        .cloned()
        .collect();
    let mut state = ClusterState::default();
    state.apply(load(&texts).objects);
    for wiring in WIRINGS {
        let mut stand = stand(state.clone(), AnyEnforcer::Tc(Tc::by_clsact()), wiring).await?;
        stand.enforce().await?;
        let result = stand.probe("all", &shop.probes).await?;
        let [permitted, enforced] = as_required(&result, "by clsact")?;
        assert!(enforced > 100 && permitted > 10, "{permitted}, {enforced}");
        stand.down().await?;
    }
    Ok(())
}

/// Whether a pod's SYN reaches an address on which nothing listens: it is refused then. Silence is waited for as long
/// as `patience` says: a machine that is busy answers late, and must not be taken for one that drops.
fn reaches(netns: &Path, to: IpAddr, patience: Duration) -> Result<bool> {
    let file = std::fs::File::open(netns)?;
    let tried = std::thread::spawn(move || {
        nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).map_err(std::io::Error::from)?;
        TcpStream::connect_timeout(&SocketAddr::new(to, 4444), patience)
    });
    match tried
        .join()
        .map_err(|_| anyhow::anyhow!("the thread ended early"))?
    {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::TimedOut | std::io::ErrorKind::HostUnreachable
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error).with_context(|| format!("to {to}")),
    }
}

/// Rules of ours in a node's namespace, as the programs that load them list them.
fn rules_left(netns: &Path) -> Result<String> {
    let name = netns.file_name().context("a name")?;
    let mut left = String::new();
    for command in [
        "nft list ruleset",
        "iptables-legacy-save",
        "ip6tables-legacy-save",
        "ipset list",
    ] {
        let output = Command::new("ip")
            .args(["netns", "exec"])
            .arg(name)
            .args(command.split(' '))
            .output()?;
        ensure!(output.status.success(), "{command}: {output:?}");
        let text = String::from_utf8(output.stdout)?;
        let ours = text.lines().filter(|line| line.to_lowercase().contains("npv"));
        left.extend(ours.map(|line| format!("{command}: {line}\n")));
    }
    Ok(left)
}

#[tokio::test]
async fn a_tier_keeps_a_pod_from_its_own_node_and_a_network_policy_does_not() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    const ALL: &str = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: all, namespace: gryffindor}, spec: {podSelector: {}, policyTypes: [Ingress, Egress]}}";
    const NODES: &str = "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {name: nodes}, spec: {tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{nodes: {}}]}]}}";
    let objects = |text: &str| Loaded::from_text(text, Path::new("-")).objects;
    let suite = Suite::load("cnp")?;
    for (enforcer, _) in ENFORCERS {
        for wiring in WIRINGS {
            let mut stand = stand(suite.state(), maker(enforcer)?, wiring).await?;
            let pod = stand
                .cluster()
                .pod(&ObjectName::new("gryffindor", "harry-potter-0"))
                .context("a pod")?
                .netns
                .path();
            let nodes = stand.world().nodes;
            let must_reach = |expected: [bool; 4], when: &str| -> Result<()> {
                let addresses = nodes.iter().flat_map(|node| &node.addresses);
                for (to, expected) in addresses.zip(expected) {
                    let patience = Duration::from_millis(if expected { 20_000 } else { 1500 });
                    let reached = reaches(&pod, *to, patience)?;
                    ensure!(
                        reached == expected,
                        "{enforcer}, {wiring:?}, {when}: {to} is reached: {reached}"
                    );
                }
                Ok(())
            };
            stand.apply(objects(ALL)).await?;
            must_reach([true, true, false, false], "own node and other node")?;
            stand.apply(objects(NODES)).await?;
            must_reach([false; 4], "with the tier")?;
            let (cluster, _, mut maker) = stand.into_parts();
            maker.stop().await?;
            must_reach([true; 4], "when it has stopped")?;
            for node in &nodes {
                assert_eq!(rules_left(&node.netns)?, "", "{enforcer}, {wiring:?}");
            }
            cluster.remove().await?;
        }
    }
    Ok(())
}
