//! A whole run on a cluster: lease, installation, pods, stages, report; and all of it removed, however it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::{
    api::{Cluster, NAMESPACE, POD, SECRET, read},
    error::CertifyError,
    install::{self, HOME, Images, Installed, SECRET_NAME},
    lease::Lease,
    nodes::{self, Home},
    stage::{Probing, StageResult, Tuples, identity},
    tunnel::Tunnel,
    world::{RUN_LABEL, World},
};
use crate::{
    bus::nats::{Nats, NatsAccess, NatsInbox, NatsSensors, Password, Role, Start, StreamLimits},
    cluster::{LiveCluster, Phase},
    flow::Patience,
    policy::Intent,
    report::{Coverage, Environment, Facts, Policies, Run, StageTitle},
    suite::{Scenario, check_intent, losses, reported},
    verifier::ClusterProber,
};
use jiff::Timestamp;

/// NATS's own port in its pod.
const NATS_PORT: u16 = 4222;
const NATS_LABELS: &str = "app.kubernetes.io/name=netpol-verify,app.kubernetes.io/component=nats";
/// How long a sensor may take to answer.
const ANSWER: Duration = Duration::from_secs(3);
/// Pods must be scheduled, started, given addresses and be seen.
const PODS: Duration = Duration::from_secs(120);
/// What is cleaned up must come to an end, too.
const CLEANING: Duration = Duration::from_secs(240);

/// What to certify, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// The suite.
    pub scenario: Scenario,
    /// Its name in the report.
    pub suite: String,
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
    progress("taking the lease");
    install::ensure_home(&cluster, &run).await?;
    let lease = Lease::acquire(&cluster, HOME, &holder).await?;
    let cluster = cluster.patient();
    let work = work(live, &cluster, request, &run, &lease, progress);
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
    run: &str,
    lease: &Lease,
    progress: &dyn Fn(&str),
) -> Result<Run, CertifyError> {
    let started = Timestamp::now();
    // What an earlier run left that was killed.
    clean_runs(cluster, RUN_LABEL).await?;
    let mut homes = nodes::usable(cluster).await?;
    homes.truncate(request.nodes.max(1));
    let cni = match &request.cni {
        Some(cni) => Some(cni.clone()),
        None => nodes::cni(cluster).await?,
    };
    let installed = install::ensure(cluster, &request.images, progress).await?;
    lease.check()?;
    progress("making namespaces and pods");
    let world = World::new(&request.scenario, run)?;
    make(cluster, &world, &homes, &installed).await?;
    progress("reaching NATS");
    let bus = Bus::open(cluster, run).await?;
    let mut prober = bus.prober(run).await?;
    progress("listening to the sensors");
    let names: BTreeSet<String> = homes.iter().map(|home| home.name.clone()).collect();
    let deaf = prober.meet(&names).await?;
    if !deaf.is_empty() {
        return Err(CertifyError::Deaf {
            nodes: deaf.into_iter().collect(),
        });
    }
    progress("waiting for the pods");
    wait_for_pods(live, cluster, &mut prober, &world).await?;
    let mut results = Vec::new();
    let mut tuples = Tuples::random();
    let count = world.stages.len();
    for (index, stage) in world.stages.iter().enumerate() {
        progress(&format!("stage {} of {count}: {}", index + 1, stage.title));
        for policy in &stage.policies {
            cluster.apply(policy).await?;
        }
        let mut probing = Probing {
            live,
            prober: &mut prober,
            tuples: &mut tuples,
            settle: request.settle,
        };
        let result = probing
            .stage(&world, &stage.name, &world.probes, || lease.check())
            .await?;
        results.push(result);
    }
    Ok(report(request, &world, &homes, cni, &prober, results, started))
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

/// The way to the bus inside the cluster.
struct Bus {
    nats: Nats,
    // Closed when the run ends.
    _tunnel: Tunnel,
    _authority: tempfile::NamedTempFile,
}

impl Bus {
    async fn open(cluster: &Cluster, run: &str) -> Result<Self, CertifyError> {
        let tunnel = Tunnel::open(cluster.client(), HOME, NATS_LABELS, NATS_PORT).await?;
        let secret = cluster.get(SECRET, Some(HOME), SECRET_NAME).await?;
        let field = |name: &str| {
            let encoded = secret
                .as_ref()
                .and_then(|secret| secret.data.pointer(&format!("/data/{name}")))
                .and_then(|value| serde_json::from_value::<k8s_openapi::ByteString>(value.clone()).ok());
            encoded.map(|bytes| bytes.0).ok_or_else(|| CertifyError::Tunnel {
                cause: format!(
                    "Secret {HOME}/{SECRET_NAME} has no key {name}; make it anew with `netpol-verify secrets`"
                ),
            })
        };
        let io = |source| CertifyError::Io {
            what: "keeping the authority's certificate",
            source,
        };
        let authority = tempfile::NamedTempFile::new().map_err(io)?;
        std::fs::write(authority.path(), field("ca.crt")?).map_err(io)?;
        let password = String::from_utf8_lossy(&field("verifier-password")?).into_owned();
        tracing::debug!(run, address = %tunnel.address(), "The tunnel to NATS is open.");
        let nats = Nats::connect(&NatsAccess {
            url: format!("tls://{}", tunnel.address()),
            ca: Some(PathBuf::from(authority.path())),
            user: Some("verifier".to_owned()),
            password: Password::Plain(password),
            role: Role::Verifier,
        })
        .await?;
        Ok(Self {
            nats,
            _tunnel: tunnel,
            _authority: authority,
        })
    }

    async fn prober(&self, run: &str) -> Result<ClusterProber<NatsSensors>, CertifyError> {
        let inbox = NatsInbox::open(self.nats.clone(), StreamLimits::default(), Start::Now);
        tokio::time::timeout(PODS, inbox.attached())
            .await
            .map_err(|_| CertifyError::Tunnel {
                cause: format!("its stream could not be read within {} s", PODS.as_secs()),
            })?;
        let sensors = Arc::new(NatsSensors::new(self.nats.clone(), ANSWER));
        Ok(ClusterProber::new(
            Patience::default(),
            Some(&format!("certify-{run}")),
            sensors,
            inbox,
        ))
    }
}

fn report(
    request: &Request,
    world: &World,
    homes: &[Home],
    cni: Option<String>,
    prober: &ClusterProber<NatsSensors>,
    results: Vec<StageResult>,
    started: Timestamp,
) -> Run {
    let ears = prober.ears();
    let mut notes = Vec::new();
    let mut kernels = BTreeSet::new();
    for (name, _, facts) in ears
        .nodes()
        .filter(|(name, ..)| homes.iter().any(|home| *home.name == ***name))
    {
        kernels.insert(facts.kernel.clone());
        notes.extend(facts.notes.iter().map(|note| format!("{name}: {note}")));
    }
    for (stage, result) in world.stages.iter().zip(&results) {
        notes.push(match result.settled_after {
            Some(after) => format!(
                "{}: settled within {} ms of the change",
                stage.name,
                after.as_millis()
            ),
            None => format!(
                "{}: had not settled {} s after the change",
                stage.name,
                request.settle.as_secs()
            ),
        });
    }
    let stages = world
        .stages
        .iter()
        .map(|stage| StageTitle {
            name: stage.name.clone(),
            title: Some(stage.title.clone()).filter(|title| !title.is_empty()),
        })
        .collect();
    let mut problems: Vec<_> = world.problems.iter().map(reported).collect();
    let mut attempts = Vec::new();
    let mut exercised = BTreeSet::new();
    let mut intent = Vec::new();
    let mut policies = BTreeSet::new();
    for result in results {
        for problem in result.problems.iter().map(reported) {
            // Other people's objects are not this report's.
            let is_ours = problem
                .object
                .as_deref()
                .is_some_and(|object| object.contains("npv-"));
            if is_ours && !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        intent = world
            .intent(&request.scenario)
            .map(|intent: Intent| check_intent(&intent, &result.state))
            .unwrap_or_default();
        policies = result
            .state
            .snapshot()
            .policies
            .iter()
            .map(crate::cluster::SourcedPolicy::name)
            .filter(|name| world.holds(&name.namespace))
            .map(|name| name.to_string())
            .collect();
        attempts.extend(result.attempts);
        exercised.extend(result.exercised);
    }
    let all: Vec<_> = ears
        .nodes()
        .map(|(_, id, _)| losses(ears.tracker().nodes().get(id).losses(), 0))
        .collect();
    let mut lost: crate::report::Losses = all.into_iter().sum();
    lost.undecodable = ears.damaged();
    let probed: BTreeSet<String> = attempts
        .iter()
        .flat_map(|attempt| [attempt.from.clone(), attempt.to.clone()])
        .collect();
    Run::new(Facts {
        stages,
        attempts,
        intent,
        losses: lost,
        coverage: Coverage {
            policies: Policies {
                exercised: policies.intersection(&exercised).cloned().collect(),
                never_exercised: policies.difference(&exercised).cloned().collect(),
            },
            pods_never_probed: world
                .pods
                .iter()
                .map(|pod| pod.name.to_string())
                .filter(|pod| !probed.contains(pod))
                .collect(),
        },
        environment: Environment {
            kernel: kernels.into_iter().collect::<Vec<_>>().join(", "),
            cni: cni.clone().unwrap_or_else(|| "of unknown make".to_owned()),
            wiring: "the cluster's own".to_owned(),
            enforcer: "the CNI's own".to_owned(),
            fault: None,
            scenario: Some(request.suite.clone()),
            nodes: homes.iter().map(|home| home.name.clone()).collect(),
            notes,
        },
        problems,
        versions: BTreeMap::new(),
        started,
        finished: Timestamp::now(),
    })
}

/// Five letters that tell this run from others.
fn run_name() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
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
