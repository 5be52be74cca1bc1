//! Whether an ipBlock that holds a pod's address means the pod (R12). Cases judge it; here is said what is done.

use super::{
    answer::{Answer, Place, gathered},
    ground::{CLIENTS, Denied, Ground, Halt, PORT, SERVER},
    question::NO_POD,
};
use crate::{
    finding::{JudgedAttempt, Observed},
    net::{Clock, Protocol},
    report::Trait,
    suite::{ProbePattern, patience::Learnt, rounds::settle, scene::Scene},
};

pub(super) const QUESTION: &str =
    "an ipBlock that holds a pod's address, as the one rule that allows (R12: it means the pod)";

/// From a client to the server.
pub(super) fn pattern(client: &str) -> Option<ProbePattern> {
    Some(ProbePattern {
        from: client.parse().ok()?,
        to: SERVER.parse().ok()?,
        ..ProbePattern::everyone(Protocol::Tcp, PORT)
    })
}

/// Asks by first packets, on any scene.
pub(super) async fn ask<S: Scene>(
    scene: &mut S,
    ground: &Ground,
    learnt: &mut Learnt,
) -> Result<Trait, Halt<S::Error>> {
    let without = under(scene, ground, Denied::Ingress, learnt).await?;
    let with = under(scene, ground, Denied::AllButBlocks, learnt).await?;
    let given = without.iter().zip(&with).map(|(without, with)| {
        let place = Place {
            family: with.family,
            path: with.path,
        };
        (place, answer(without, with))
    });
    Ok(gathered(QUESTION, NO_POD, given.collect()))
}

async fn under<S: Scene>(
    scene: &mut S,
    ground: &Ground,
    denied: Denied,
    learnt: &mut Learnt,
) -> Result<Vec<JudgedAttempt>, Halt<S::Error>> {
    let changed = Clock.now();
    ground.lay(scene, denied).await?;
    let patterns: Vec<ProbePattern> = CLIENTS.iter().filter_map(|client| pattern(client)).collect();
    let rounds = settle(scene, &patterns, changed, learnt, Vec::new(), Vec::new())
        .await
        .map_err(Halt::Scene)?;
    Ok(rounds.attempts)
}

fn answer(without: &JudgedAttempt, with: &JudgedAttempt) -> Answer {
    let is_delivered =
        |one: &JudgedAttempt| matches!(one.observed, Observed::Delivered | Observed::ReplyLost);
    match (without, with) {
        (one, _) | (_, one) if one.observed == Observed::Unknown => {
            let why = one.reason.as_deref().unwrap_or("a probe cannot be told");
            Answer::not_told(why)
        }
        (without, _) if is_delivered(without) => Answer::not_enforced(),
        (_, with) if is_delivered(with) => Answer::Told(format!("lets the pod through: {}", with.observed)),
        (_, with) => {
            let observed = with.observed.to_string();
            let by = with.reason.as_ref().unwrap_or(&observed);
            Answer::Told(format!("lets no pod through: {by}"))
        }
    }
}
