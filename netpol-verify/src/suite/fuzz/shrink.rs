//! Delta debugging: leaves out of a cluster whatever its violation does not need, and asks the packets each time.

use super::{
    cluster::{Cluster, snapshot},
    prune::{only_the_ends, parts, without_empty_namespaces},
};
use crate::{
    cluster::{ClusterState, Object, ObjectName, Snapshot},
    finding::{Expected, JudgedAttempt, Verdict},
    net::Family,
    policy::{PolicySet, compile},
    suite::{
        pairs::{Attempt, attempts},
        player::difference,
        scenario::ProbePattern,
        scene::{Changed, Scene},
    },
};

/// No violation is shrunk by more candidates than these: a bound on a CNI that takes long for each.
const MOST_CANDIDATES: u64 = 1500;

/// What was left, and what it took.
pub(super) struct Shrunk {
    pub(super) cluster: Cluster,
    /// How many candidates were put to the packets.
    pub(super) played: u64,
}

/// What must still be seen: the same attempt, wrong in the same way.
struct Goal<'a> {
    attempt: &'a JudgedAttempt,
    patterns: Vec<ProbePattern>,
    expected: Expected,
}

/// Leaves out what can be left out while the attempt stays wrong in its way.
pub(super) async fn shrink<S: Scene>(
    scene: &mut S,
    from: Cluster,
    attempt: &JudgedAttempt,
) -> Result<Shrunk, S::Error> {
    let goal = Goal {
        attempt,
        patterns: pattern(attempt).into_iter().collect(),
        expected: attempt.expected,
    };
    let mut shrunk = Shrunk {
        cluster: from,
        played: 0,
    };
    let ends = only_the_ends(&shrunk.cluster, attempt);
    shrunk.take_if_wrong(scene, &goal, ends).await?;
    loop {
        let mut is_smaller = false;
        let mut index = 0;
        // What follows a part that went is at the part's own place in the next list, or near it.
        while let Some(part) = parts(&shrunk.cluster).get(index) {
            if shrunk.played >= MOST_CANDIDATES {
                return Ok(shrunk);
            }
            let Some(candidate) = shrunk.cluster.without(part) else {
                index += 1;
                continue;
            };
            if shrunk.take_if_wrong(scene, &goal, candidate).await? {
                is_smaller = true;
            } else {
                index += 1;
            }
        }
        if !is_smaller {
            break;
        }
    }
    shrunk.cluster = without_empty_namespaces(&shrunk.cluster);
    Ok(shrunk)
}

impl Shrunk {
    /// Keeps a candidate that shows the violation too.
    async fn take_if_wrong<S: Scene>(
        &mut self,
        scene: &mut S,
        goal: &Goal<'_>,
        candidate: Cluster,
    ) -> Result<bool, S::Error> {
        let Some(objects) = candidate.objects().filter(|objects| goal.is_required(objects)) else {
            return Ok(false);
        };
        self.played += 1;
        let is_wrong = goal.is_wrong(scene, objects).await?;
        if is_wrong {
            self.cluster = candidate;
        }
        Ok(is_wrong)
    }
}

impl Goal<'_> {
    /// Whether the policies of a candidate require of the attempt what they did; else no packet could show the violation.
    fn is_required(&self, objects: &[Object]) -> bool {
        let snapshot = snapshot(objects);
        let (set, _) = compile(&snapshot);
        let asked = self.asked(&snapshot);
        asked.is_some_and(|attempt| required(&set, &attempt) == self.expected)
    }

    fn asked(&self, snapshot: &Snapshot) -> Option<Attempt> {
        attempts(snapshot, &self.patterns)
            .into_iter()
            .find(|attempt| Family::of(attempt.to_address) == self.attempt.family)
    }

    /// Whether the packets show the violation, and again after a pause.
    async fn is_wrong<S: Scene>(&self, scene: &mut S, objects: Vec<Object>) -> Result<bool, S::Error> {
        if !put(scene, objects).await? {
            return Ok(false);
        }
        let pause = scene.patience().pause;
        for look in 0..2 {
            if look > 0 {
                scene.rest(pause).await?;
            }
            let seen = scene.probe(&self.patterns, None).await?;
            if !seen.iter().any(|seen| self.is_the_same(seen)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_the_same(&self, seen: &JudgedAttempt) -> bool {
        seen.family == self.attempt.family && seen.verdict == self.attempt.verdict
    }
}

/// Makes a scene hold these objects and no others; whether it took them.
pub(super) async fn put<S: Scene>(scene: &mut S, objects: Vec<Object>) -> Result<bool, S::Error> {
    let mut wanted = ClusterState::default();
    wanted.apply(objects);
    let (gone, fresh) = difference(scene.state(), &wanted);
    Ok(scene.change(gone, fresh).await? == Changed::Done)
}

/// The attempt as a question, in both families.
pub(super) fn pattern(attempt: &JudgedAttempt) -> Option<ProbePattern> {
    let name = |text: &str| text.parse::<ObjectName>().ok();
    Some(ProbePattern {
        from: name(&attempt.from)?,
        to: name(&attempt.to)?,
        port: attempt.port,
        protocol: attempt.protocol,
        door: None,
    })
}

fn required(set: &PolicySet, attempt: &Attempt) -> Expected {
    crate::suite::judged::expected(attempt.decide(set).expectation)
}

/// Of several violations the one to begin with: leaks before connections that were stopped, within a node before across.
pub(super) fn worst(attempts: &[JudgedAttempt], of: Verdict) -> Option<&JudgedAttempt> {
    attempts
        .iter()
        .filter(|attempt| attempt.verdict == of)
        .min_by_key(|attempt| (attempt.path, attempt.protocol, attempt.family))
}
