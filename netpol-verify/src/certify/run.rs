//! A whole run on a cluster: lease, installation, pods, stages, report; and all of it removed, however it ends.

use std::{collections::BTreeSet, num::NonZeroU16, time::Duration};

use jiff::Timestamp;

use super::{
    account::{Setting, report},
    api::{Cluster, NAMESPACE, POD, read},
    error::CertifyError,
    existing::{Existing, unfit},
    ground::Ground,
    install::{self, HOME, Images, Installed},
    lease::Lease,
    nodes::{self, Home},
    reach::Reach,
    stage::{Probing, Tuples, identity},
    world::{RUN_LABEL, World},
};
use crate::{
    bus::nats::NatsSensors,
    cluster::{LiveCluster, Phase},
    report::Run,
    suite::Scenario,
    verifier::ClusterProber,
};

/// Pods must be scheduled, started, given addresses and be seen.
const PODS: Duration = Duration::from_secs(120);
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
    /// The user's own, as they are.
    Existing(Existing),
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
) -> Result<Run, CertifyError> {
    let cluster = Cluster::new(live);
    let run = run_name();
    let holder = format!("{run} on {}", host());
    // A selection of nothing is said before anything is made.
    let nodes = match &request.target {
        Target::Suite { .. } => None,
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
) -> Result<Run, CertifyError> {
    let started = Timestamp::now();
    // What an earlier run left that was killed.
    clean_runs(cluster, RUN_LABEL).await?;
    let homes = match &request.target {
        Target::Suite { .. } => {
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
    let installed = install::ensure(cluster, &request.images, progress).await?;
    lease.check()?;
    let (ground, names) = match &request.target {
        Target::Suite { scenario, .. } => {
            progress("making namespaces and pods");
            let world = World::new(scenario, run)?;
            make(cluster, &world, &homes, &installed).await?;
            let names = homes.iter().map(|home| home.name.clone()).collect();
            (Ground::Own(world, scenario), names)
        }
        Target::Existing(existing) => (Ground::Existing(existing), existing_on.unwrap_or_default()),
    };
    progress("reaching NATS");
    let reach = Reach::open(cluster).await?;
    let mut prober = reach.prober(run).await?;
    progress("listening to the sensors");
    let deaf = prober.meet(&names).await?;
    let is_hopeless = matches!(ground, Ground::Own(..)) || deaf == names;
    if !deaf.is_empty() && is_hopeless {
        return Err(CertifyError::Deaf {
            nodes: deaf.into_iter().collect(),
        });
    }
    progress("waiting for the pods");
    match &ground {
        Ground::Own(world, _) => wait_for_pods(live, cluster, &mut prober, world).await?,
        Ground::Existing(existing) => hear_of(live, &mut prober, existing).await?,
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
    Ok(report(
        Setting {
            request,
            ground: &ground,
            nodes: names,
            cni,
            started,
        },
        &prober,
        results,
    ))
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
        cluster.apply(&world.namespace_manifest(namespace)).await?;
    }
    // Pods are refused until their namespace has its service account.
    for (pod, home) in world.pods.iter().zip(homes.iter().cycle()) {
        let manifest = World::pod_manifest(pod, &home.hostname, &installed.image, &installed.pull_policy);
        let made = async || match cluster.apply(&manifest).await {
            Ok(_) => Ok(Ok(())),
            Err(CertifyError::Api { code: 403, said, .. }) if said.contains("serviceaccount") => {
                Ok(Err(said))
            }
            Err(error) => Err(error),
        };
        cluster
            .until(&format!("pod {} to be accepted", pod.name), PODS, made)
            .await?;
    }
    Ok(())
}

/// Waits until every pod runs, has its addresses, and its interface is watched.
async fn wait_for_pods(
    live: &LiveCluster,
    cluster: &Cluster,
    prober: &mut ClusterProber<NatsSensors>,
    world: &World,
) -> Result<(), CertifyError> {
    let until = tokio::time::Instant::now() + PODS;
    loop {
        prober.listen(Duration::from_millis(300)).await?;
        let (snapshot, _) = read(live).await?.into_snapshot();
        let identity = identity(prober, &snapshot);
        let mut missing = Vec::new();
        for pod in &world.pods {
            match snapshot.pod(&pod.name) {
                Some(found) if found.phase == Phase::Running && !found.ips.is_empty() => {
                    if identity.home(&pod.name).is_none() {
                        missing.push(format!("{} is not seen by its node's sensor", pod.name));
                    }
                }
                _ => {
                    let found = cluster
                        .get(POD, Some(&pod.name.namespace), &pod.name.name)
                        .await?;
                    let why = found.as_ref().and_then(install::trouble);
                    missing.push(why.unwrap_or_else(|| format!("{} does not run yet", pod.name)));
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
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
