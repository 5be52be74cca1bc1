//! Plays the cases of suites on a scene, one after the other, and hands each result on as soon as it is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    cases::{Case, Step, Suite},
    moments::Watch,
    patience::Learnt,
    proof::{doubt, proof},
    rounds::settle,
    scenario::ProbePattern,
    scene::{Changed, Scene},
    unchanged::Required,
};
use crate::{
    cluster::{ClusterState, Object, ObjectKey, Snapshot},
    finding::{JudgedAttempt, Verdict},
    net::Clock,
    report::{CaseResult, CaseVerdict, MomentKind, Proof, Refused},
};

/// What came of a case.
#[derive(Debug)]
pub enum Played {
    /// It was played to its end.
    Case(Box<CaseResult>),
    /// It cannot be played here.
    Refused(Refused),
}

/// Plays cases on a scene, and learns how fast its enforcer is.
#[derive(Debug, Default)]
pub struct Player {
    pub(super) learnt: Learnt,
    /// What paths were required to do at the end of the step before; nothing where that step did not come to its end.
    required: Arc<Required>,
}

impl Player {
    /// Plays one case: the suite's world is put back as it was, and each step changes it.
    ///
    /// # Errors
    /// Nothing can be played on the scene any more.
    pub async fn play<S: Scene>(
        &mut self,
        scene: &mut S,
        suite: &Suite,
        case: &Case,
    ) -> Result<Played, S::Error> {
        let mut result = CaseResult::new(&suite.name, &case.id, &case.title, case.default);
        result.features = suite.features_of(case);
        let asked: Vec<Vec<ProbePattern>> = case.steps.iter().map(|step| suite.patterns(step)).collect();
        if let Some(why) = scene.unplayable(case, &asked.concat()) {
            return Ok(refused(suite, case, why.to_owned()));
        }
        let mut wanted = suite.state();
        for ((step, patterns), number) in case.steps.iter().zip(&asked).zip(1..) {
            step.play(&mut wanted);
            let changed = Clock.now();
            // Of a step that does not come to its end nobody knows what is in force.
            let required = std::mem::take(&mut self.required);
            let mut meanwhile = Vec::new();
            let watches = if step.restart {
                vec![Watch::of_restart(&scene.restart(patterns).await?, changed)]
            } else {
                let (gone, objects) = difference(scene.state(), &wanted);
                let watches = Watch::of_change(&required, &scene.state().snapshot(), &gone, &objects);
                let looked_at = if step.watched { &**patterns } else { &[] };
                let (made, rounds) = scene.change_watched(gone, objects, looked_at).await?;
                meanwhile = rounds;
                match made {
                    Changed::Done => {}
                    Changed::Refused { why } => return Ok(refused(suite, case, why)),
                    Changed::Partly { refused } => {
                        for (key, why) in refused {
                            if !is_wanted(step, &key) {
                                result.remarks.push(format!("{key} was refused: {why}"));
                            }
                        }
                    }
                }
                watches
            };
            let learnt = &mut self.learnt;
            let mut rounds = settle(scene, patterns, changed, learnt, meanwhile, watches).await?;
            result.settled.extend(rounds.settled(number, &required));
            let mut seen: Vec<(Option<MomentKind>, &JudgedAttempt)> = Vec::new();
            let mut wrong_for_a_while = Vec::new();
            for watch in std::mem::take(&mut rounds.watches) {
                let Some((moment, wrong)) = watch.end(number, &rounds.attempts) else {
                    continue;
                };
                if moment.seen.unknown > 0 {
                    result.remarks.push(format!(
                        "step {number}: nothing can be told of {} paths {}",
                        moment.seen.unknown,
                        moment.kind.words()
                    ));
                }
                wrong_for_a_while.extend(wrong.into_iter().map(|one| (moment.kind, one)));
                result.moments.push(moment);
            }
            seen.extend(wrong_for_a_while.iter().map(|(kind, one)| (Some(*kind), one)));
            seen.extend(rounds.attempts.iter().map(|one| (None, one)));
            for (moment, attempt) in seen {
                result.count(attempt);
                if attempt.verdict.is_violation() && result.proof.is_none() {
                    let proof = proof(&case.id, number, attempt, &wanted.snapshot());
                    result.proof = Some(Proof { moment, ..proof });
                }
                if attempt.verdict == Verdict::Inconclusive && result.doubt.is_none() {
                    result.doubt = Some(doubt(number, attempt));
                }
            }
            self.required = rounds.required();
        }
        if !result.remarks.is_empty() && result.verdict == CaseVerdict::Passed {
            result.verdict = CaseVerdict::Inconclusive;
        }
        Ok(Played::Case(Box::new(result)))
    }

    /// Whether changes were waited for less than the whole budget, since three in a row had come to nothing.
    #[must_use]
    pub const fn gave_up_waiting(&self) -> bool {
        self.learnt.is_short()
    }
}

fn refused(suite: &Suite, case: &Case, why: String) -> Played {
    Played::Refused(Refused {
        suite: suite.name.clone(),
        id: case.id.clone(),
        why,
    })
}

/// Whether a case is about this very refusal.
fn is_wanted(step: &Step, key: &ObjectKey) -> bool {
    let name = key.to_string();
    step.expect.problems.iter().any(|problem| problem.object == name)
}

impl Suite {
    /// The paths that a step asks about: every pair on every port of the suite, and what the step asks beyond that.
    #[must_use]
    pub fn patterns(&self, step: &Step) -> Vec<ProbePattern> {
        let mut patterns = self.everyone();
        for probe in &step.expect.probes {
            if !probe.is_between_pods() || !self.ports.contains(&probe.port) {
                patterns.push(probe.pattern());
            }
        }
        patterns
    }

    /// Every pair of pods on every port of the suite.
    pub(super) fn everyone(&self) -> Vec<ProbePattern> {
        let ports = self.ports.iter();
        ports
            .map(|port| ProbePattern::everyone(port.protocol, port.number))
            .collect()
    }

    /// The words of a case by their group.
    fn features_of(&self, case: &Case) -> BTreeMap<String, Vec<String>> {
        let groups = self.features.iter().map(|(group, words)| {
            let of_case = words.iter().filter(|word| case.features.contains(*word));
            (group.clone(), of_case.cloned().collect::<Vec<_>>())
        });
        groups.filter(|(_, words)| !words.is_empty()).collect()
    }
}

/// What turns one state into another. Nodes are what they are.
pub(super) fn difference(now: &ClusterState, wanted: &ClusterState) -> (Vec<ObjectKey>, Vec<Object>) {
    let wanted = objects(wanted.snapshot());
    let kept: BTreeSet<ObjectKey> = wanted.iter().map(Object::key).collect();
    let gone: Vec<ObjectKey> = objects(now.snapshot())
        .iter()
        .map(Object::key)
        .filter(|key| !kept.contains(key))
        .collect();
    // Tried on a copy: what is equal to before makes no change.
    let mut copy = now.clone();
    copy.delete(gone.iter().cloned());
    let changed: BTreeSet<ObjectKey> = copy
        .apply(wanted.iter().cloned())
        .iter()
        .map(|change| change.key().clone())
        .collect();
    let fresh = wanted
        .into_iter()
        .filter(|object| changed.contains(&object.key()));
    (gone, fresh.collect())
}

fn objects(snapshot: Snapshot) -> Vec<Object> {
    let namespaces = snapshot.namespaces.into_iter().map(Object::Namespace);
    let pods = snapshot.pods.into_iter().map(Object::Pod);
    let services = snapshot.services.into_iter().map(Object::Service);
    let slices = snapshot.slices.into_iter().map(Object::EndpointSlice);
    let policies = snapshot.policies.into_iter().map(Object::Policy);
    let admin = snapshot.admin.into_iter().map(Object::Admin);
    namespaces
        .chain(pods)
        .chain(services)
        .chain(slices)
        .chain(policies)
        .chain(admin)
        .collect()
}
