//! One stage on a cluster: every path probed again and again until what is seen has settled, or the budget is spent.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use super::{api::read, error::CertifyError, world::World};
use crate::{
    bus::Sensors,
    cluster::{ClusterState, LiveCluster, ObjectName, Problem},
    finding::{JudgedAttempt, Path, Verdict},
    flow::{Outcome, UnknownCause},
    judge::judge,
    net::{Clock, Netns},
    policy::{Decision, End, PolicySet, Traffic, compile},
    sensor::Probe,
    suite::{Attempt, ProbePattern, attempts, line},
    verifier::{ClusterProber, Identity, Order},
};

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(300);
/// Our source ports lie below the kernel's own (`ip_local_port_range`, 32768 and up).
const SOURCE_PORTS: std::ops::Range<u16> = 20_000..32_000;

/// What a stage gave.
#[derive(Debug, Default)]
pub(super) struct StageResult {
    pub(super) attempts: Vec<JudgedAttempt>,
    pub(super) exercised: BTreeSet<String>,
    pub(super) problems: Vec<Problem>,
    pub(super) state: ClusterState,
    /// From the last change to the beginning of the first round in which all was as it must be and stayed so.
    pub(super) settled_after: Option<Duration>,
}

/// Tuples of probes: no two of a run are alike, so that no connection tracking table knows one.
pub(super) struct Tuples {
    port: u16,
    nonce: u32,
}

impl Tuples {
    pub(super) fn random() -> Self {
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), Clock.now());
        Self {
            port: SOURCE_PORTS.start + u16::try_from(seed % 10_000).unwrap_or(0),
            nonce: u32::try_from(seed >> 32).unwrap_or(1),
        }
    }

    fn next(&mut self) -> (u16, u32) {
        self.port += 1;
        if self.port >= SOURCE_PORTS.end {
            self.port = SOURCE_PORTS.start;
        }
        self.nonce = self.nonce.wrapping_add(0x9e37_79b9);
        (self.port, self.nonce)
    }
}

/// What a stage is probed with.
pub(super) struct Probing<'a, S> {
    pub(super) live: &'a LiveCluster,
    pub(super) prober: &'a mut ClusterProber<S>,
    pub(super) tuples: &'a mut Tuples,
    pub(super) settle: Duration,
}

impl<S: Sensors> Probing<'_, S> {
    /// Probes until two rounds in a row are as they must be, or the settle budget is spent: the last round counts.
    pub(super) async fn stage(
        &mut self,
        world: &World,
        name: &str,
        patterns: &[ProbePattern],
        check: impl Fn() -> Result<(), CertifyError>,
    ) -> Result<StageResult, CertifyError> {
        let changed = Clock.now();
        let mut clean_since = None;
        loop {
            check()?;
            let began = Clock.now();
            let mut result = self.round(world, name, patterns).await?;
            let is_clean = !result.attempts.is_empty()
                && result
                    .attempts
                    .iter()
                    .all(|one| !one.verdict.is_violation() && one.verdict != Verdict::Inconclusive);
            match clean_since {
                Some(since) if is_clean => {
                    result.settled_after = Some(since);
                    return Ok(result);
                }
                None if is_clean => clean_since = Some(began.since(changed)),
                _ => {
                    clean_since = None;
                    if Clock.now().since(changed) >= self.settle {
                        return Ok(result);
                    }
                }
            }
            self.prober.listen(PAUSE).await?;
        }
    }

    /// Every path once, judged by what the API says now.
    async fn round(
        &mut self,
        world: &World,
        stage: &str,
        patterns: &[ProbePattern],
    ) -> Result<StageResult, CertifyError> {
        let (state, mut problems) = read(self.live).await?.into_state();
        let snapshot = state.snapshot();
        let (set, more) = compile(&snapshot);
        problems.extend(more);
        let identity = identity(self.prober, &snapshot);
        let mut ours = snapshot.clone();
        ours.pods.retain(|pod| world.holds(&pod.name.namespace));
        let nodes: BTreeMap<&ObjectName, &str> = ours
            .pods
            .iter()
            .filter_map(|pod| Some((&pod.name, pod.node.as_deref()?)))
            .collect();
        let attempts = attempts(&ours, patterns);
        let mut orders = Vec::new();
        let mut asked = Vec::new();
        let mut unwatched = Vec::new();
        for attempt in &attempts {
            match (identity.home(&attempt.from), identity.home(&attempt.to)) {
                (Some(source), Some(destination)) => {
                    orders.push(self.order(attempt, source, destination));
                    asked.push(attempt);
                }
                (None, _) => unwatched.push((attempt, UnknownCause::SourceNotWatched)),
                (_, None) => unwatched.push((attempt, UnknownCause::DestinationNotWatched)),
            }
        }
        let decided = self.prober.run(&orders).await?;
        let mut result = StageResult {
            problems,
            ..StageResult::default()
        };
        let path = |attempt: &Attempt| {
            if nodes.get(&attempt.from) == nodes.get(&attempt.to) {
                Path::SameNode
            } else {
                Path::CrossNode
            }
        };
        for (attempt, decided) in asked.into_iter().zip(decided) {
            let decision = decide(&set, attempt);
            result.exercised.extend(exercised(&decision));
            let judgement = judge(decision, decided.outcome);
            let mut judged = line(stage, attempt, path(attempt), &judgement, decided.latency);
            if let (Some(why), Verdict::Inconclusive) = (decided.refused, judged.verdict) {
                judged.reason = Some(format!("the probe did not leave the pod: {why}"));
            }
            result.attempts.push(judged);
        }
        for (attempt, why) in unwatched {
            let judgement = judge(decide(&set, attempt), Outcome::Unknown { why });
            result
                .attempts
                .push(line(stage, attempt, path(attempt), &judgement, None));
        }
        result.state = state;
        Ok(result)
    }

    fn order(&mut self, attempt: &Attempt, source: Netns, destination: Netns) -> Order {
        let (port, nonce) = self.tuples.next();
        Order {
            source,
            destination,
            probe: Probe {
                protocol: attempt.protocol,
                source: SocketAddr::new(attempt.from_address, port),
                destination: SocketAddr::new(attempt.to_address, attempt.port),
                nonce,
            },
        }
    }
}

/// Whose namespace is whose, by what sensors and the API say now.
pub(super) fn identity<S: Sensors>(
    prober: &ClusterProber<S>,
    snapshot: &crate::cluster::Snapshot,
) -> Identity {
    let nodes = snapshot
        .nodes
        .iter()
        .map(|node| (node.name.as_str(), node.addresses.as_slice()));
    Identity::new(prober.ears(), snapshot.pods.iter(), nodes)
}

fn decide(set: &PolicySet, attempt: &Attempt) -> Decision {
    let end = |name: &ObjectName, address| End::Pod {
        name: name.clone(),
        address: Some(address),
    };
    set.decide(&Traffic::direct(
        end(&attempt.from, attempt.from_address),
        end(&attempt.to, attempt.to_address),
        attempt.protocol,
        attempt.port,
    ))
}

/// The policies that decided.
fn exercised(decision: &Decision) -> Vec<String> {
    [&decision.egress, &decision.ingress]
        .into_iter()
        .flat_map(|side| {
            let isolating = side.isolating.iter().map(ToString::to_string);
            isolating.chain(side.allowing.iter().map(|rule| rule.policy.to_string()))
        })
        .collect()
}
