//! The hunt: one random cluster after the other, and what was wrong, shrunk and proven once more.

use super::{
    asked::patterns,
    cluster::{Cluster, snapshot},
    dice::Dice,
    draw::draw,
    shrink::{pattern, put, shrink, worst},
};
use crate::{
    finding::{JudgedAttempt, Verdict},
    net::{Clock, micros},
    report::{Fuzzed, Reproduction},
    suite::{
        patience::Learnt,
        rounds::{Rounds, settle},
        scenario::ProbePattern,
        scene::Scene,
    },
};

/// So many violations of one kind are shrunk; all are counted.
const SHRUNK_OF_A_KIND: usize = 2;

/// What is hunted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fuzzing {
    /// How many clusters.
    pub clusters: u64,
    /// What they follow from.
    pub seed: u64,
}

/// Puts random clusters to whoever enforces on a scene, and shrinks what goes wrong. `progress` hears before each cluster how
/// many there were and how many violations.
///
/// # Errors
/// Nothing can be played on the scene any more.
pub async fn fuzz<S: Scene>(
    scene: &mut S,
    fuzzing: Fuzzing,
    mut progress: impl FnMut(u64, u64),
) -> Result<Fuzzed, S::Error> {
    let mut fuzzed = Fuzzed::new(fuzzing.seed);
    let mut learnt = Learnt::default();
    for number in 0..fuzzing.clusters {
        progress(number, fuzzed.violations());
        let cluster = draw(fuzzing.seed, number);
        let Some(rounds) = played(scene, &cluster, number, fuzzing.seed, &mut learnt).await? else {
            fuzzed.not_played += 1;
            continue;
        };
        fuzzed.count(&rounds.attempts);
        for kind in Verdict::ALL.into_iter().filter(|verdict| verdict.is_violation()) {
            let known = fuzzed
                .reproductions
                .iter()
                .filter(|known| known.attempt.verdict == kind);
            let is_enough = known.count() >= SHRUNK_OF_A_KIND;
            let found = worst(&rounds.attempts, kind).filter(|_| !is_enough);
            if let Some(attempt) = found {
                let reproduction = reproduce(scene, &cluster, attempt, number, &mut learnt).await?;
                if !fuzzed.knows(&reproduction) {
                    fuzzed.reproductions.push(reproduction);
                }
            }
        }
    }
    Ok(fuzzed)
}

/// Plays a drawn cluster; nothing where the scene does not take it.
async fn played<S: Scene>(
    scene: &mut S,
    cluster: &Cluster,
    number: u64,
    seed: u64,
    learnt: &mut Learnt,
) -> Result<Option<Rounds>, S::Error> {
    let Some(objects) = cluster.objects() else {
        tracing::warn!(
            number,
            seed,
            "A cluster was drawn that the API would refuse; it is left out."
        );
        return Ok(None);
    };
    // Other rolls than those that drew it.
    let patterns = patterns(&snapshot(&objects), &mut Dice::new(!seed, number));
    settled(scene, cluster, &patterns, learnt).await
}

async fn settled<S: Scene>(
    scene: &mut S,
    cluster: &Cluster,
    patterns: &[ProbePattern],
    learnt: &mut Learnt,
) -> Result<Option<Rounds>, S::Error> {
    let Some(objects) = cluster.objects() else {
        return Ok(None);
    };
    let changed = Clock.now();
    if !put(scene, objects).await? {
        return Ok(None);
    }
    settle(scene, patterns, changed, learnt, Vec::new(), Vec::new())
        .await
        .map(Some)
}

/// Shrinks a violation and proves what is left with all the patience there is; what heals then is told as it was found.
async fn reproduce<S: Scene>(
    scene: &mut S,
    cluster: &Cluster,
    attempt: &JudgedAttempt,
    number: u64,
    learnt: &mut Learnt,
) -> Result<Reproduction, S::Error> {
    let began = Clock.now();
    let shrunk = shrink(scene, cluster.clone(), attempt).await?;
    let asked: Vec<ProbePattern> = pattern(attempt).into_iter().collect();
    let last = settled(scene, &shrunk.cluster, &asked, learnt).await?;
    let proof = last
        .iter()
        .flat_map(|rounds| &rounds.attempts)
        .find(|seen| seen.verdict == attempt.verdict && seen.family == attempt.family);
    let least = if proof.is_some() { &shrunk.cluster } else { cluster };
    Ok(Reproduction {
        cluster: number,
        attempt: proof.unwrap_or(attempt).clone(),
        policies: least.count("NetworkPolicy"),
        pods: least.count("Pod"),
        of_policies: cluster.count("NetworkPolicy"),
        of_pods: cluster.count("Pod"),
        candidates: shrunk.played,
        micros: micros(Clock.now().since(began)),
        manifest: least.to_yaml(),
    })
}
