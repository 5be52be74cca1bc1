//! What a run tells when it is done: the facts of its report.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    ground::Ground,
    run::{Request, Target},
    stage::StageResult,
};
use crate::{
    bus::nats::NatsSensors,
    cluster::ClusterState,
    report::{Coverage, Environment, Facts, Losses, Policies, Run},
    suite::{losses, reported},
    verifier::ClusterProber,
};

/// What was known before the first probe.
pub(super) struct Setting<'a> {
    pub(super) request: &'a Request,
    pub(super) ground: &'a Ground<'a>,
    /// The nodes that took part.
    pub(super) nodes: BTreeSet<String>,
    pub(super) cni: Option<String>,
    pub(super) started: Timestamp,
}

/// What the sensors say of their nodes and of themselves.
pub(super) struct OfSensors {
    /// The kernels, each once.
    pub(super) kernels: String,
    /// What they had to do without.
    pub(super) notes: Vec<String>,
    pub(super) losses: Losses,
}

/// Gathers it, of the nodes that took part; losses count wherever they were.
pub(super) fn of_sensors(prober: &ClusterProber<NatsSensors>, nodes: &BTreeSet<String>) -> OfSensors {
    let ears = prober.ears();
    let mut notes = Vec::new();
    let mut kernels = BTreeSet::new();
    for (name, _, facts) in ears.nodes().filter(|(name, ..)| nodes.contains(&***name)) {
        kernels.insert(facts.kernel.clone());
        notes.extend(facts.notes.iter().map(|note| format!("{name}: {note}")));
    }
    let all = ears
        .nodes()
        .map(|(_, id, _)| losses(ears.tracker().nodes().get(id).losses(), 0));
    let mut lost: Losses = all.sum();
    lost.undecodable = ears.damaged();
    OfSensors {
        kernels: kernels.into_iter().collect::<Vec<_>>().join(", "),
        notes,
        losses: lost,
    }
}

/// The report of a run.
pub(super) fn report(
    setting: Setting<'_>,
    prober: &ClusterProber<NatsSensors>,
    results: Vec<StageResult>,
) -> Run {
    let Setting { request, ground, .. } = setting;
    let OfSensors {
        kernels,
        mut notes,
        losses: lost,
    } = of_sensors(prober, &setting.nodes);
    let mut problems = ground.problems();
    let mut attempts = Vec::new();
    let mut exercised = BTreeSet::new();
    let mut last = ClusterState::default();
    for result in results {
        for problem in result.problems.iter().map(reported) {
            if ground.concerns(&problem) && !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        notes.extend(result.notes);
        attempts.extend(result.attempts);
        exercised.extend(result.exercised);
        last = result.state;
    }
    let policies = ground.policies(&last);
    let probed: BTreeSet<String> = attempts
        .iter()
        .flat_map(|attempt| [attempt.from.clone(), attempt.to.clone()])
        .collect();
    Run::new(Facts {
        stages: ground.stages(),
        attempts,
        intent: ground.intent(&last),
        losses: lost,
        coverage: Coverage {
            policies: Policies {
                exercised: policies.intersection(&exercised).cloned().collect(),
                never_exercised: policies.difference(&exercised).cloned().collect(),
            },
            pods_never_probed: ground
                .pods(&last)
                .into_iter()
                .filter(|pod| !probed.contains(pod))
                .collect(),
        },
        environment: Environment {
            kernel: kernels,
            cni: setting.cni.unwrap_or_else(|| "of unknown make".to_owned()),
            wiring: "the cluster's own".to_owned(),
            enforcer: "the CNI's own".to_owned(),
            fault: None,
            scenario: match &request.target {
                Target::Suite { name, .. } => Some(name.clone()),
                Target::Cases(_) | Target::Existing(_) => None,
            },
            nodes: setting.nodes.into_iter().collect(),
            notes,
        },
        problems,
        versions: BTreeMap::new(),
        started: setting.started,
        finished: Timestamp::now(),
    })
}
