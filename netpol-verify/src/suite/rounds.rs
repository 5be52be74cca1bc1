//! One step: its paths tried in rounds, until every answer is right and stays so, or the settle budget is spent.

use std::{sync::Arc, time::Duration};

use super::{
    moments::Watch,
    patience::{Doubts, Learnt},
    scene::{Round, Scene, ScenePatience},
    unchanged::Required,
};
use crate::{
    finding::{Expected, JudgedAttempt},
    net::{Clock, KernelTime, micros},
    report::{Edge, Settled},
    suite::ProbePattern,
};

/// What cannot be told is asked again so often, whatever the budget: a burst may have overrun a neighbour's queue.
const AGAIN: u32 = 2;

/// A step's end: a line for each path, and how it came there.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    pub(super) attempts: Vec<JudgedAttempt>,
    /// When each was first right for good and last seen wrong, counted from the change.
    times: Vec<Times>,
    /// Whether the budget was spent.
    pub(super) spent: bool,
    /// Who looks on.
    pub(super) watches: Vec<Watch>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    right: Option<Duration>,
    wrong: Option<Duration>,
}

/// Tries every path until all is as it must be, or its time is up: the last answer counts. Rounds that were `tried` while the
/// change was made come first.
pub(super) async fn settle<S: Scene>(
    scene: &mut S,
    patterns: &[ProbePattern],
    changed: KernelTime,
    learnt: &mut Learnt,
    tried: Vec<Round>,
    watches: Vec<Watch>,
) -> Result<Rounds, S::Error> {
    let ScenePatience {
        budget,
        pause,
        says_when_done,
    } = scene.patience();
    let mut rounds = Rounds {
        watches,
        ..Rounds::default()
    };
    let mut had = Doubts::default();
    let now = Clock.now();
    // Of a round that was under way with the change, only its end is surely after what it shows.
    let ends: Vec<KernelTime> = tried.iter().skip(1).map(|(at, _)| *at).chain([now]).collect();
    for ((_, attempts), end) in tried.into_iter().zip(ends) {
        had = had.or(Doubts::of(attempts.iter()));
        rounds.take_all(attempts, end.since(changed));
    }
    let at = now.since(changed);
    rounds.take_all(scene.probe(patterns, None).await?, at);
    had = had.or(Doubts::of(rounds.attempts.iter()));
    let mut steady = says_when_done && !had.any();
    let mut asked_again = 0;
    loop {
        let doubts = Doubts::of(rounds.attempts.iter());
        if !doubts.any() && steady {
            break;
        }
        let since = Clock.now().since(changed);
        let is_spent = since >= learnt.budget(budget, doubts);
        if doubts.any() && is_spent && (asked_again >= AGAIN || !doubts.unknown) {
            rounds.spent = true;
            break;
        }
        asked_again += u32::from(is_spent);
        scene.rest(pause).await?;
        let at = Clock.now().since(changed);
        if doubts.any() {
            let open = rounds.doubtful();
            let again = scene.probe(patterns, Some(&open)).await?;
            rounds.take_again(&open, again, at);
            steady = false;
        } else {
            // All is right: once more as a whole, and it is settled.
            rounds.take_all(scene.probe(patterns, None).await?, at);
            steady = true;
        }
        had = had.or(Doubts::of(rounds.attempts.iter()));
    }
    let doubts = Doubts::of(rounds.attempts.iter());
    if rounds.spent {
        learnt.spent(doubts);
    } else if had.violation() {
        learnt.healed(had, rounds.slowest().unwrap_or_default());
    }
    Ok(rounds)
}

impl Rounds {
    fn take_all(&mut self, attempts: Vec<JudgedAttempt>, at: Duration) {
        self.show(&attempts, at);
        let before = std::mem::take(&mut self.times);
        let known = before.into_iter().map(Some).chain(std::iter::repeat(None));
        self.times = attempts
            .iter()
            .zip(known)
            .map(|(attempt, known)| known.unwrap_or_default().with(attempt, at))
            .collect();
        self.attempts = attempts;
    }

    fn take_again(&mut self, indices: &[usize], attempts: Vec<JudgedAttempt>, at: Duration) {
        self.show(&attempts, at);
        for (index, attempt) in indices.iter().zip(attempts) {
            if let (Some(slot), Some(times)) = (self.attempts.get_mut(*index), self.times.get_mut(*index)) {
                // Pods came or went meanwhile, and it is another path's answer: what is doubtful stays so.
                if key(slot) != key(&attempt) {
                    continue;
                }
                *times = times.with(&attempt, at);
                *slot = attempt;
            }
        }
    }

    fn show(&mut self, attempts: &[JudgedAttempt], at: Duration) {
        for watch in &mut self.watches {
            watch.see(attempts, at);
        }
    }

    fn doubtful(&self) -> Vec<usize> {
        let numbered = self.attempts.iter().enumerate();
        let wrong = numbered.filter(|(_, attempt)| attempt.is_doubtful());
        wrong.map(|(index, _)| index).collect()
    }

    fn slowest(&self) -> Option<Duration> {
        self.times
            .iter()
            .filter_map(|times| times.wrong.and(times.right))
            .max()
    }

    /// How the paths that had to turn did, by the way they had to turn.
    pub(super) fn settled(&self, step: usize, before: &Required) -> Vec<Settled> {
        let edge = |attempt: &JudgedAttempt| match (
            before.get(&key(attempt)).map(|was| was.expected),
            attempt.expected,
        ) {
            (Some(Expected::Allow), Expected::Deny) => Some(Edge::AllowToDeny),
            (Some(Expected::Deny), Expected::Allow) => Some(Edge::DenyToAllow),
            _ => None,
        };
        let mut found = Vec::new();
        for way in [Edge::AllowToDeny, Edge::DenyToAllow] {
            let turned: Vec<(&JudgedAttempt, &Times)> = self
                .attempts
                .iter()
                .zip(&self.times)
                .filter(|(attempt, _)| edge(attempt) == Some(way))
                .collect();
            if turned.is_empty() {
                continue;
            }
            let never = turned.iter().filter(|(attempt, _)| attempt.is_doubtful()).count();
            let right = turned.iter().filter(|(attempt, _)| !attempt.is_doubtful());
            found.push(Settled {
                step,
                edge: way,
                paths: turned.len() as u64,
                never: never as u64,
                slowest_micros: right.filter_map(|(_, times)| times.right).max().map(micros),
                last_wrong_micros: turned
                    .iter()
                    .filter_map(|(_, times)| times.wrong)
                    .max()
                    .map(micros),
            });
        }
        found
    }

    /// What is required now.
    pub(super) fn required(&self) -> Arc<Required> {
        let named = self.attempts.iter().map(|attempt| (key(attempt), attempt.into()));
        Arc::new(named.collect())
    }
}

impl Times {
    fn with(self, attempt: &JudgedAttempt, at: Duration) -> Self {
        if attempt.is_doubtful() {
            Self {
                right: None,
                wrong: Some(at),
            }
        } else {
            Self {
                right: self.right.or(Some(at)),
                ..self
            }
        }
    }
}

/// The path that an attempt takes, as text.
pub(super) fn key(attempt: &JudgedAttempt) -> String {
    let JudgedAttempt {
        from,
        to,
        protocol,
        port,
        family,
        ..
    } = attempt;
    format!("{from} {to} {protocol} {port} {family}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Rounds;
    use crate::finding::{JudgedAttempt, Verdict};

    fn attempt(to: &str, verdict: Verdict) -> JudgedAttempt {
        JudgedAttempt::example("x/a", to, verdict)
    }

    #[test]
    fn an_answer_of_another_path_heals_nothing() {
        let mut rounds = Rounds::default();
        let first = vec![attempt("x/b", Verdict::Leak), attempt("x/c", Verdict::Enforced)];
        rounds.take_all(first, Duration::ZERO);
        let later = Duration::from_secs(1);
        // The pod x/b is gone, and x/c has taken its place in the list.
        rounds.take_again(&[0], vec![attempt("x/c", Verdict::Enforced)], later);
        assert_eq!(rounds.doubtful(), [0]);
        rounds.take_again(&[0], vec![attempt("x/b", Verdict::Enforced)], later);
        assert!(rounds.doubtful().is_empty());
    }
}
