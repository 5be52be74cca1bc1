//! A whole run: a scenario stage by stage on a standing lab, and the report of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use netpol_verify_ebpf::settings::counter;

use super::{
    scenario::{ProbePattern, Scenario},
    stand::{Stand, StandError},
};
use crate::{
    cluster::{ClusterState, Loaded, Problem},
    finding::JudgedAttempt,
    flow::LossLog,
    net::NodeId,
    policy::{Intent, Wanted, compile},
    report::{self, Coverage, Environment, Facts, Losses, Policies, Run, StageTitle},
    sensor::Attachment,
};

/// What the report says of the lab besides what was seen in it.
#[derive(Clone, Debug)]
pub struct Labels {
    /// The CNI it stands in for.
    pub cni: String,
    /// Who enforces.
    pub enforcer: String,
    /// The fault put in on purpose.
    pub fault: Option<String>,
    /// The scenario.
    pub scenario: Option<String>,
}

/// Gathers a run.
pub struct Recorder {
    started: Timestamp,
    stages: Vec<StageTitle>,
    attempts: Vec<JudgedAttempt>,
    exercised: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Recorder {
    /// A run that begins now; `problems` are those of its input.
    #[must_use]
    pub fn new(problems: Vec<Problem>) -> Self {
        Self {
            started: Timestamp::now(),
            stages: Vec::new(),
            attempts: Vec::new(),
            exercised: BTreeSet::new(),
            problems,
        }
    }

    /// What in the input could not be taken, as far as it is known by now.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Probes one stage as the lab stands.
    ///
    /// # Errors
    /// A probe cannot be made.
    pub async fn stage(
        &mut self,
        stand: &mut Stand,
        name: &str,
        title: Option<&str>,
        patterns: &[ProbePattern],
    ) -> Result<(), StandError> {
        let result = stand.probe(name, patterns).await?;
        self.stages.push(StageTitle {
            name: name.to_owned(),
            title: title.map(str::to_owned),
        });
        self.attempts.extend(result.attempts);
        self.exercised.extend(result.exercised);
        for problem in result.problems {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
        Ok(())
    }

    /// The report; the intent is checked against the policies as they stand.
    #[must_use]
    pub fn finish(self, stand: &Stand, labels: Labels, intent: Option<&Intent>) -> Run {
        let snapshot = stand.state().snapshot();
        let all: BTreeSet<String> = snapshot
            .policies
            .iter()
            .map(|policy| policy.name().to_string())
            .collect();
        let probed: BTreeSet<&str> = self
            .attempts
            .iter()
            .flat_map(|attempt| [attempt.from.as_str(), attempt.to.as_str()])
            .collect();
        let coverage = Coverage {
            policies: Policies {
                exercised: all.intersection(&self.exercised).cloned().collect(),
                never_exercised: all.difference(&self.exercised).cloned().collect(),
            },
            pods_never_probed: snapshot
                .pods
                .iter()
                .map(|pod| pod.name.to_string())
                .filter(|pod| !probed.contains(pod.as_str()))
                .collect(),
        };
        let problems = self.problems.iter().map(reported).collect();
        Run::new(Facts {
            stages: self.stages,
            attempts: self.attempts,
            intent: intent
                .map(|intent| check_intent(intent, stand.state()))
                .unwrap_or_default(),
            losses: lab_losses(stand),
            coverage,
            environment: environment(stand, labels),
            problems,
            versions: BTreeMap::new(),
            started: self.started,
            finished: Timestamp::now(),
        })
    }
}

/// What the owner wants, against what the policies say.
#[must_use]
pub fn check_intent(intent: &Intent, state: &ClusterState) -> Vec<report::Intent> {
    let snapshot = state.snapshot();
    let (set, _) = compile(&snapshot);
    intent
        .check(&set, &snapshot)
        .into_iter()
        .map(|check| {
            let broken = check.is_break();
            let suggestion = check.suggestion.filter(|suggestion| suggestion.verified);
            report::Intent {
                from: check.from.to_string(),
                to: check.to.to_string(),
                protocol: check.protocol,
                port: check.port,
                wanted: match check.wanted {
                    Wanted::Open => report::Wanted::Open,
                    Wanted::Closed => report::Wanted::Closed,
                },
                policy: super::judged::expected(check.policy),
                by: check.by,
                broken,
                suggestion: suggestion.as_ref().map(|suggestion| suggestion.summary.clone()),
                suggest: suggestion.map(|suggestion| suggestion.manifest),
            }
        })
        .collect()
}

/// A problem as a report has it.
#[must_use]
pub fn reported(problem: &Problem) -> report::Problem {
    report::Problem {
        place: problem.place.to_string(),
        object: problem.object.clone(),
        path: problem.path.clone(),
        message: problem.message.clone(),
    }
}

/// What one node's sensor lost, and how many of its records could not be decoded.
#[must_use]
pub fn losses(log: &LossLog, undecodable: u64) -> Losses {
    let totals = log.latest();
    let count = |index: u32| totals.counters.get(index as usize).copied().unwrap_or(0);
    Losses {
        seen: count(counter::SEEN),
        recorded: count(counter::RECORDED),
        folded: count(counter::FOLDED),
        ring_full: count(counter::RING_FULL),
        throttled: count(counter::THROTTLED),
        not_published: totals.not_published,
        unplaced: count(counter::UNATTRIBUTED),
        missing_batches: log.missing_batches(),
        unparsed: count(counter::UNPARSED),
        fragments: count(counter::FRAGMENTS),
        undecodable,
    }
}

/// What the lab's sensor lost.
#[must_use]
pub fn lab_losses(stand: &Stand) -> Losses {
    let prober = stand.prober();
    losses(prober.tracker().nodes().get(NodeId(0)).losses(), prober.damaged())
}

/// Where a run on a lab took place.
#[must_use]
pub fn environment(stand: &Stand, labels: Labels) -> Environment {
    let mut notes = stand.facts().notes.clone();
    if stand.prober().sensor().attachment() == Attachment::Clsact {
        notes.push(
            "attached by clsact, not TCX (Linux 6.6): a program before ours may hide packets".to_owned(),
        );
    }
    Environment {
        kernel: kernel_release(),
        cni: labels.cni,
        wiring: stand.cluster().used.clone(),
        enforcer: labels.enforcer,
        fault: labels.fault,
        scenario: labels.scenario,
        nodes: stand
            .cluster()
            .nodes
            .iter()
            .map(|node| node.name.clone())
            .collect(),
        notes,
    }
}

/// The running kernel's release.
#[must_use]
pub fn kernel_release() -> String {
    nix::sys::utsname::uname()
        .map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_else(|_| "unknown".to_owned())
}

/// Loads texts into one set of manifests.
#[must_use]
pub fn load(texts: &[(std::path::PathBuf, String)]) -> Loaded {
    let mut all = Loaded::default();
    for (file, text) in texts {
        let loaded = Loaded::from_text(text, file);
        all.objects.extend(loaded.objects);
        all.problems.extend(loaded.problems);
        all.ignored += loaded.ignored;
    }
    all
}

/// Plays a scenario on a standing lab, one stage after the other.
///
/// # Errors
/// The lab cannot be changed, or the enforcer refuses.
pub async fn play(
    stand: &mut Stand,
    scenario: &Scenario,
    recorder: &mut Recorder,
    mut progress: impl FnMut(usize, &str),
) -> Result<(), StandError> {
    for (index, stage) in scenario.stages.iter().enumerate() {
        progress(index, &stage.title);
        let loaded = load(&stage.apply);
        recorder.problems.extend(loaded.problems);
        stand.apply(loaded.objects).await?;
        let title = Some(stage.title.as_str()).filter(|title| !title.is_empty());
        recorder
            .stage(stand, &stage.name, title, &scenario.probes)
            .await?;
    }
    Ok(())
}
