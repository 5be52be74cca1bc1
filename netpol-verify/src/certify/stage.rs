//! One stage on a cluster: paths probed again and again until what is seen has settled, or the budget is spent.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    num::NonZeroU16,
    time::Duration,
};

use super::{
    api::read,
    error::CertifyError,
    existing::{self, Existing},
    world::World,
};
use crate::{
    bus::Sensors,
    cluster::{ClusterState, LiveCluster, ObjectName, Problem, Snapshot},
    finding::{JudgedAttempt, Path, Verdict},
    flow::{Outcome, UnknownCause},
    judge::judge,
    net::{Clock, Netns},
    policy::{PolicySet, compile},
    sensor::Probe,
    suite::{Attempt, ProbePattern, attempts, deciders, line, pick},
    verifier::{ClusterProber, Decided, Identity, Order},
};

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(300);
/// Our source ports lie below the kernel's own (`ip_local_port_range`, 32768 and up).
const SOURCE_PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How often paths that are not as they must be are looked at where nothing was changed for it, the first time included.
const ROUNDS: u32 = 3;

/// What a stage gave.
#[derive(Debug, Default)]
pub(super) struct StageResult {
    pub(super) attempts: Vec<JudgedAttempt>,
    pub(super) exercised: BTreeSet<String>,
    pub(super) problems: Vec<Problem>,
    pub(super) state: ClusterState,
    /// For people.
    pub(super) notes: Vec<String>,
}

/// The cluster at one moment, by the API and by the sensors.
pub(super) struct View {
    state: ClusterState,
    set: PolicySet,
    problems: Vec<Problem>,
    pub(super) snapshot: Snapshot,
    identity: Identity,
}

/// Tuples of probes: no two of a run are alike, so that no connection tracking table knows one.
pub(super) struct Tuples {
    port: u16,
    nonce: u32,
}

impl Tuples {
    pub(super) fn random() -> Self {
        let seed = crate::random::random();
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
    /// How long a change may take to be enforced.
    pub(super) settle: Duration,
    /// Probes that are begun in a second, where others' applications are probed.
    pub(super) rate: Option<NonZeroU16>,
    /// Whether the run may go on.
    pub(super) check: &'a dyn Fn() -> Result<(), CertifyError>,
}

impl<S: Sensors> Probing<'_, S> {
    /// Probes a suite's paths until two rounds in a row are as they must be, or the settle budget is spent: the last round
    /// counts.
    pub(super) async fn settled(
        &mut self,
        world: &World,
        name: &str,
        patterns: &[ProbePattern],
    ) -> Result<StageResult, CertifyError> {
        let changed = Clock.now();
        let mut clean_since = None;
        loop {
            let began = Clock.now();
            let view = self.look().await?;
            let mut ours = view.snapshot.clone();
            ours.pods.retain(|pod| world.holds(&pod.name.namespace));
            let mut result = self.probe(&view, name, &attempts(&ours, patterns)).await?;
            let is_clean =
                !result.attempts.is_empty() && !result.attempts.iter().any(JudgedAttempt::is_doubtful);
            let is_over = Clock.now().since(changed) >= self.settle;
            let after = match (clean_since, is_clean) {
                (Some(since), true) => Some(since),
                (None, true) => {
                    clean_since = Some(began.since(changed));
                    None
                }
                (_, false) => {
                    clean_since = None;
                    None
                }
            };
            if after.is_some() || (is_over && !is_clean) {
                result.notes.push(settled_note(name, after, self.settle));
                result.take(view);
                return Ok(result);
            }
            self.prober.listen(PAUSE).await?;
        }
    }

    /// Probes the user's own pods. Nothing was changed for it, but somebody may just have changed something: what is not as
    /// it must be is probed again until the settle budget is spent, and only what stays so counts.
    pub(super) async fn as_it_stands(&mut self, existing: &Existing) -> Result<StageResult, CertifyError> {
        let mut view = self.look().await?;
        let plan = existing.plan(&view.snapshot, &view.set, &view.identity);
        let mut result = self.probe(&view, existing::STAGE, &plan.attempts).await?;
        result.notes = plan.notes;
        let at_first = result.attempts.iter().filter(|one| one.is_doubtful()).count();
        for _ in 1..ROUNDS {
            let doubtful: Vec<usize> = indices(&result.attempts, JudgedAttempt::is_doubtful);
            if doubtful.is_empty() {
                break;
            }
            self.prober.listen(self.settle / (ROUNDS - 1)).await?;
            view = self.look().await?;
            let paths = pick(&plan.attempts, &doubtful);
            let again = self.probe(&view, existing::STAGE, &paths).await?;
            result.exercised.extend(again.exercised);
            for (index, judged) in doubtful.into_iter().zip(again.attempts) {
                if let Some(slot) = result.attempts.get_mut(index) {
                    *slot = judged;
                }
            }
        }
        let mended = at_first
            - result
                .attempts
                .iter()
                .filter(|one| one.is_doubtful())
                .count()
                .min(at_first);
        if mended > 0 {
            result.notes.push(format!(
                "{mended} paths were not as they must be at first, and were when they were probed again within {} s",
                self.settle.as_secs()
            ));
        }
        result.take(view);
        Ok(result)
    }

    /// Reads the cluster and joins it with what the sensors say.
    pub(super) async fn look(&self) -> Result<View, CertifyError> {
        (self.check)()?;
        let (state, mut problems) = read(self.live).await?.into_state();
        let snapshot = state.snapshot();
        let (set, more) = compile(&snapshot);
        problems.extend(more);
        let identity = identity(self.prober, &snapshot);
        Ok(View {
            state,
            set,
            problems,
            snapshot,
            identity,
        })
    }

    /// Every path once, judged by a view; a line for each, in their order.
    pub(super) async fn probe(
        &mut self,
        view: &View,
        stage: &str,
        attempts: &[Attempt],
    ) -> Result<StageResult, CertifyError> {
        let mut orders = Vec::new();
        let mut asked = Vec::new();
        for attempt in attempts {
            let home = |pod| view.identity.home(pod);
            asked.push(match (home(&attempt.from), home(&attempt.to)) {
                (Some(source), Some(destination)) => {
                    orders.push(self.order(attempt, source, destination));
                    Ok(())
                }
                (None, _) => Err(UnknownCause::SourceNotWatched),
                (_, None) => Err(UnknownCause::DestinationNotWatched),
            });
        }
        let mut decided = self.send(&orders).await?.into_iter();
        let nodes: HashMap<&ObjectName, &str> = view
            .snapshot
            .pods
            .iter()
            .filter_map(|pod| Some((&pod.name, pod.node.as_deref()?)))
            .collect();
        let mut result = StageResult::default();
        for (attempt, asked) in attempts.iter().zip(asked) {
            let path = if nodes.get(&attempt.from) == nodes.get(&attempt.to) {
                Path::SameNode
            } else {
                Path::CrossNode
            };
            let decision = attempt.decide(&view.set);
            // Each order is decided; should one not be, nothing is known of it.
            let decided = match asked {
                Ok(()) => decided.next().ok_or(UnknownCause::SourceNotWatched),
                Err(why) => Err(why),
            };
            result.attempts.push(match decided {
                Ok(decided) => {
                    result.exercised.extend(deciders(&decision));
                    let judgement = judge(decision, decided.outcome);
                    let mut judged = line(stage, attempt, path, &judgement, decided.latency);
                    if let (Some(why), Verdict::Inconclusive) = (decided.refused, judged.verdict) {
                        judged.reason = Some(format!("the probe did not leave the pod: {why}"));
                    }
                    judged
                }
                Err(why) => line(
                    stage,
                    attempt,
                    path,
                    &judge(decision, Outcome::Unknown { why }),
                    None,
                ),
            });
        }
        Ok(result)
    }

    /// Sends all at once, or no more in a second than may be.
    async fn send(&mut self, orders: &[Order]) -> Result<Vec<Decided>, CertifyError> {
        let at_once = self
            .rate
            .map_or(orders.len().max(1), |rate| usize::from(rate.get()));
        let mut decided = Vec::with_capacity(orders.len());
        for chunk in orders.chunks(at_once) {
            (self.check)()?;
            let began = Clock.now();
            decided.extend(self.prober.run(chunk).await?);
            let rest = Duration::from_secs(1).saturating_sub(Clock.now().since(began));
            if self.rate.is_some() && decided.len() < orders.len() {
                self.prober.listen(rest).await?;
            }
        }
        Ok(decided)
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

impl StageResult {
    /// By what it was judged.
    fn take(&mut self, view: View) {
        self.problems = view.problems;
        self.state = view.state;
    }
}

fn indices<T>(all: &[T], is_one: impl Fn(&T) -> bool) -> Vec<usize> {
    let numbered = all.iter().enumerate();
    numbered
        .filter(|(_, one)| is_one(one))
        .map(|(index, _)| index)
        .collect()
}

/// From the last change to the beginning of the first round in which all was as it must be and stayed so.
fn settled_note(stage: &str, after: Option<Duration>, budget: Duration) -> String {
    match after {
        Some(after) => format!("{stage}: settled within {} ms of the change", after.as_millis()),
        None => format!("{stage}: had not settled {} s after the change", budget.as_secs()),
    }
}

/// Whose namespace is whose, by what sensors and the API say now.
pub(super) fn identity<S: Sensors>(prober: &ClusterProber<S>, snapshot: &Snapshot) -> Identity {
    let nodes = snapshot
        .nodes
        .iter()
        .map(|node| (node.name.as_str(), node.addresses.as_slice()));
    Identity::new(prober.ears(), snapshot.pods.iter(), nodes)
}
