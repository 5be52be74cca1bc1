//! A whole run on a cluster: lease, installation, pods, stages, report; and all of it removed, however it ends.

use std::{collections::BTreeSet, num::NonZeroU16, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    account::{Setting, report},
    agents::{self, Agents},
    api::{Cluster, NAMESPACE, POD, read},
    cases::{CasesSetting, cases_of},
    error::CertifyError,
    existing::{Existing, unfit},
    ground::Ground,
    install::{self, HOME, Images, Installed},
    lease::Lease,
    names::{Names, RUN_LABEL},
    nodes::{self, Home},
    reach::Reach,
    scene::ClusterScene,
    stage::{Probing, Tuples, identity},
    world::World,
};
use crate::{
    bus::nats::NatsSensors,
    cluster::{LiveCluster, ObjectName, Phase, Snapshot},
    report::{Certification, Run},
    suite::{
        Record, RunName, Scenario, Selection,
        cases::{Case, Suite},
    },
    verifier::ClusterProber,
};

/// Pods must be scheduled, started, given addresses and be seen.
pub(super) const PODS: Duration = Duration::from_secs(120);
/// How long sensors may take to tell of the interfaces that they watch.
const ROSTERS: Duration = Duration::from_secs(15);
/// What is cleaned up must come to an end, too.
const CLEANING: Duration = Duration::from_secs(240);

/// What to certify, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which pods are probed.
    pub target: Target,
    /// What the CNI is called in the report; found by its DaemonSet where it is not given.
    pub cni: Option<String>,
    /// Which images.
    pub images: Images,
    /// How many nodes get pods.
    pub nodes: usize,
    /// How long a change may take to be enforced.
    pub settle: Duration,
    /// Leaves an installation that was made for this run.
    pub keep: bool,
}

/// Which pods are probed, under which policies.
#[derive(Clone, Debug)]
pub enum Target {
    /// A suite's, made for the run and removed again.
    Suite {
        /// The suite.
        scenario: Scenario,
        /// Its name in the report.
        name: String,
    },
    /// Suites of cases, likewise.
    Cases(Cases),
    /// The user's own, as they are.
    Existing(Existing),
}

/// Cases to be played.
#[derive(Clone, Debug)]
pub struct Cases {
    /// The suites, whose order is the report's.
    pub suites: Vec<Suite>,
    /// Which of their cases.
    pub selection: Selection,
    /// Under which name results are kept while it runs.
    pub run: RunName,
    /// Whose restart is asked for; cases that restart nobody are all that is played without.
    pub disruptive: Option<Agents>,
}

impl Cases {
    /// Those that are played: without those that restart somebody, where nobody asked for that.
    pub(super) fn chosen(&self) -> Result<Vec<(&Suite, &Case)>, CertifyError> {
        let mut chosen = self.selection.of(&self.suites)?;
        chosen.retain(|(_, case)| self.disruptive.is_some() || !case.restarts());
        if chosen.is_empty() {
            return Err(CertifyError::OnlyDisruptive);
        }
        Ok(chosen)
    }
}

/// What is done on the cluster.
enum Play<'a> {
    /// Paths are probed stage by stage.
    Stages(Ground<'a>),
    /// Cases are played.
    Cases(&'a Cases),
}

/// What came of certifying.
#[derive(Debug)]
pub enum Certified {
    /// Stage by stage.
    Run(Box<Run>),
    /// Case by case; and what was kept of the cases, to be removed when that is told.
    Cases(Box<Certification>, Record),
}

/// Certifies a cluster. Whatever was made is removed before this returns, also where `stop` comes first.
///
/// # Errors
/// There is no verdict: the cluster cannot be reached, another run is at work, something did not come up in time. What was
/// made is removed all the same; if that fails, that is the error.
pub async fn certify(
    live: &LiveCluster,
    request: &Request,
    progress: &dyn Fn(&str),
    stop: impl Future<Output = ()>,
) -> Result<Certified, CertifyError> {
    let cluster = Cluster::new(live);
    let run = run_name();
    let holder = format!("{run} on {}", host());
    // A selection of nothing is said before anything is made.
    let nodes = match &request.target {
        Target::Suite { .. } | Target::Cases(_) => None,
        Target::Existing(existing) => Some(nodes_of(live, existing).await?),
    };
    progress("taking the lease");
    install::ensure_home(&cluster, &run).await?;
    let lease = Lease::acquire(&cluster, HOME, &holder).await?;
    let cluster = cluster.patient();
    let work = work(live, &cluster, request, nodes, (&run, &lease), progress);
    let done = tokio::select! {
        done = work => done,
        () = stop => Err(CertifyError::Interrupted),
    };
    progress("removing what was made");
    let cleaned = tokio::time::timeout(CLEANING, clean(&cluster, &run, lease, request.keep)).await;
    let cleaned = cleaned.unwrap_or_else(|_| {
        Err(CertifyError::Left {
            left: "what this run made".to_owned(),
            cause: "the API server took too long".to_owned(),
        })
    });
    match (done, cleaned) {
        (Ok(run), Ok(())) => Ok(run),
        (Err(error), Ok(())) => Err(error),
        (Ok(_), Err(error)) => Err(error),
        (Err(error), Err(left)) => {
            tracing::error!(%left, "Not everything was removed.");
            Err(error)
        }
    }
}

/// Everything of every run goes: the lease says that no other is at work. Without it only what is surely ours.
async fn clean(cluster: &Cluster, run: &str, lease: Lease, keep: bool) -> Result<(), CertifyError> {
    if let Err(lost) = lease.check() {
        tracing::warn!(%lost, "What is installed is left to the run that holds the lease now.");
        return clean_runs(cluster, &format!("{RUN_LABEL}={run}")).await;
    }
    let left = clean_runs(cluster, RUN_LABEL).await;
    if !keep {
        install::remove(cluster).await?;
    }
    // Gone with its namespace, or still to be given back.
    lease.release().await?;
    left
}

async fn clean_runs(cluster: &Cluster, labels: &str) -> Result<(), CertifyError> {
    let namespaces = cluster.list(NAMESPACE, None, labels).await?;
    for namespace in &namespaces {
        cluster
            .delete(&super::api::typed(NAMESPACE, namespace.clone()))
            .await?;
    }
    for namespace in namespaces {
        install::gone(cluster, namespace).await?;
    }
    Ok(())
}

async fn work(
    live: &LiveCluster,
    cluster: &Cluster,
    request: &Request,
    existing_on: Option<BTreeSet<String>>,
    (run, lease): (&str, &Lease),
    progress: &dyn Fn(&str),
) -> Result<Certified, CertifyError> {
    let started = Timestamp::now();
    // What an earlier run left that was killed.
    clean_runs(cluster, RUN_LABEL).await?;
    let homes = match &request.target {
        Target::Suite { .. } | Target::Cases(_) => {
            let mut homes = nodes::usable(cluster).await?;
            homes.truncate(request.nodes.max(1));
            homes
        }
        Target::Existing(_) => Vec::new(),
    };
    let cni = match &request.cni {
        Some(cni) => Some(cni.clone()),
        None => nodes::cni(cluster).await?,
    };
    let mut agents = Vec::new();
    if let Target::Cases(cases) = &request.target {
        cases.chosen()?;
        if let Some(asked) = &cases.disruptive {
            agents = agents::find(cluster, asked).await?;
        }
    }
    let installed = install::ensure(cluster, &request.images, progress).await?;
    lease.check()?;
    let play = match &request.target {
        Target::Suite { scenario, .. } => {
            progress("making namespaces and pods");
            let world = World::new(scenario, run)?;
            make(cluster, &world, &homes, &installed).await?;
            Play::Stages(Ground::Own(world, scenario))
        }
        Target::Existing(existing) => Play::Stages(Ground::Existing(existing)),
        Target::Cases(cases) => Play::Cases(cases),
    };
    let names = existing_on.unwrap_or_else(|| homes.iter().map(|home| home.name.clone()).collect());
    progress("reaching NATS");
    let reach = Reach::open(cluster).await?;
    let mut prober = reach.prober(run).await?;
    progress("listening to the sensors");
    let deaf = prober.meet(&names).await?;
    let is_hopeless = !matches!(request.target, Target::Existing(_)) || deaf == names;
    if !deaf.is_empty() && is_hopeless {
        return Err(CertifyError::Deaf {
            nodes: deaf.into_iter().collect(),
        });
    }
    progress("waiting for the pods");
    match &play {
        Play::Stages(Ground::Own(world, _)) => {
            let names: Vec<ObjectName> = world.pods.iter().map(|pod| pod.name.clone()).collect();
            wait_for_pods(live, cluster, &mut prober, &names).await?;
        }
        Play::Stages(Ground::Existing(existing)) => hear_of(live, &mut prober, existing).await?,
        // Each case brings its own.
        Play::Cases(_) => {}
    }
    let mut results = Vec::new();
    let check = || lease.check();
    let mut probing = Probing {
        live,
        prober: &mut prober,
        tuples: &mut Tuples::random(),
        settle: request.settle,
        rate: None,
        check: &check,
    };
    let ground = match play {
        Play::Stages(ground) => ground,
        Play::Cases(cases) => {
            let names_of_run = Names::of(run);
            let scene = ClusterScene::new(probing, cluster, &homes, &installed, names_of_run, agents);
            let setting = CasesSetting {
                cni,
                nodes: names,
                started,
            };
            let (certification, record) = cases_of(scene, cases, setting, progress).await?;
            return Ok(Certified::Cases(Box::new(certification), record));
        }
    };
    match &ground {
        Ground::Own(world, _) => {
            let count = world.stages.len();
            for (index, stage) in world.stages.iter().enumerate() {
                progress(&format!("stage {} of {count}: {}", index + 1, stage.title));
                for policy in &stage.policies {
                    cluster.apply(policy).await?;
                }
                results.push(probing.settled(world, &stage.name, &world.probes).await?);
            }
        }
        Ground::Existing(existing) => {
            progress("probing your own pods as they stand");
            probing.rate = NonZeroU16::new(existing.rate.max(1));
            results.push(probing.as_it_stands(existing).await?);
        }
    }
    Ok(Certified::Run(Box::new(report(
        Setting {
            request,
            ground: &ground,
            nodes: names,
            cni,
            started,
        },
        &prober,
        results,
    ))))
}

/// The nodes that the selected pods are on.
async fn nodes_of(live: &LiveCluster, existing: &Existing) -> Result<BTreeSet<String>, CertifyError> {
    let (snapshot, _) = live.load().await?.into_snapshot();
    let taken: Vec<_> = snapshot.pods.iter().filter(|pod| existing.takes(pod)).collect();
    if taken.iter().all(|pod| unfit(pod).is_some()) {
        return Err(CertifyError::NoPod {
            place: existing.words(),
            pods: taken.len(),
        });
    }
    let fit = taken.into_iter().filter(|pod| unfit(pod).is_none());
    Ok(fit.filter_map(|pod| pod.node.clone()).collect())
}

/// Listens until every selected pod that can be probed was told of, or sensors have had their time: those that are not
/// watched are left out, and said.
async fn hear_of(
    live: &LiveCluster,
    prober: &mut ClusterProber<NatsSensors>,
    existing: &Existing,
) -> Result<(), CertifyError> {
    let until = tokio::time::Instant::now() + ROSTERS;
    let (snapshot, _) = read(live).await?.into_snapshot();
    loop {
        prober.listen(Duration::from_millis(300)).await?;
        let identity = identity(prober, &snapshot);
        let mut fit = snapshot
            .pods
            .iter()
            .filter(|pod| existing.takes(pod) && unfit(pod).is_none());
        if fit.all(|pod| identity.home(&pod.name).is_some()) || tokio::time::Instant::now() >= until {
            return Ok(());
        }
    }
}

/// Applies the run's namespaces and pods, by turns on the nodes: same-node and cross-node paths both occur.
async fn make(
    cluster: &Cluster,
    world: &World,
    homes: &[Home],
    installed: &Installed,
) -> Result<(), CertifyError> {
    for namespace in &world.namespaces {
        cluster.apply(&world.names.namespace_manifest(namespace)).await?;
    }
    for (pod, home) in world.pods.iter().zip(homes.iter().cycle()) {
        let manifest = Names::pod_manifest(pod, &home.hostname, &installed.image, &installed.pull_policy);
        make_pod(cluster, &pod.name, &manifest).await?;
    }
    Ok(())
}

/// Applies a pod. Pods are refused until their namespace has its service account, and while one of the name is going.
pub(super) async fn make_pod(
    cluster: &Cluster,
    name: &ObjectName,
    manifest: &Value,
) -> Result<(), CertifyError> {
    let made = async || match cluster.apply(manifest).await {
        Ok(pod) if pod.metadata.deletion_timestamp.is_some() => {
            Ok(Err("one of its name is going".to_owned()))
        }
        Ok(_) => Ok(Ok(())),
        Err(CertifyError::Api { code: 403, said, .. })
            if said.contains("serviceaccount") || said.contains("being terminated") =>
        {
            Ok(Err(said))
        }
        Err(error) => Err(error),
    };
    cluster
        .until(&format!("pod {name} to be accepted"), PODS, made)
        .await
}

/// Waits until every pod runs, has its addresses, and its interface is watched; the cluster as it is then.
pub(super) async fn wait_for_pods(
    live: &LiveCluster,
    cluster: &Cluster,
    prober: &mut ClusterProber<NatsSensors>,
    pods: &[ObjectName],
) -> Result<Snapshot, CertifyError> {
    let until = tokio::time::Instant::now() + PODS;
    loop {
        prober.listen(Duration::from_millis(300)).await?;
        let (snapshot, _) = read(live).await?.into_snapshot();
        let identity = identity(prober, &snapshot);
        let mut missing = Vec::new();
        for name in pods {
            match snapshot.pod(name) {
                Some(found) if found.phase == Phase::Running && !found.ips.is_empty() => {
                    if identity.home(name).is_none() {
                        missing.push(format!("{name} is not seen by its node's sensor"));
                    }
                }
                _ => {
                    let found = cluster.get(POD, Some(&name.namespace), &name.name).await?;
                    let why = found.as_ref().and_then(install::trouble);
                    missing.push(why.unwrap_or_else(|| format!("{name} does not run yet")));
                }
            }
        }
        if missing.is_empty() {
            return Ok(snapshot);
        }
        if tokio::time::Instant::now() >= until {
            missing.truncate(5);
            return Err(CertifyError::Waited {
                what: "the run's pods".to_owned(),
                patience: PODS,
                state: missing.join("; "),
            });
        }
    }
}

/// Five letters that tell this run from others.
fn run_name() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut seed = crate::random::random();
    let mut name = String::new();
    for _ in 0..5 {
        let index = usize::try_from(seed % 27).unwrap_or(0);
        seed /= 27;
        name.push(LETTERS.get(index).copied().map_or('x', char::from));
    }
    name
}

fn host() -> String {
    nix::sys::utsname::uname().map_or_else(
        |_| "an unnamed machine".to_owned(),
        |name| name.nodename().to_string_lossy().into_owned(),
    )
}
