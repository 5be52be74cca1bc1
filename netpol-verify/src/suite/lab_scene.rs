//! The lab as a scene: what is changed there is wired and enforced before the call returns.

use std::time::Duration;

use super::{
    cases::Case,
    open::Sockets,
    pairs::{attempts, pick},
    scenario::ProbePattern,
    scene::{Changed, Round, Scene, ScenePatience},
    stand::{Stand, StandError},
};
use crate::{
    cluster::{ClusterState, Object, ObjectKey, Snapshot},
    finding::JudgedAttempt,
    policy::compile,
};

/// Between two rounds: a fault that heals does so on a timer of the lab's.
const PAUSE: Duration = Duration::from_millis(50);

/// A standing lab on which cases are played.
pub struct LabScene {
    stand: Stand,
    budget: Duration,
}

impl LabScene {
    /// A scene; the lab's enforcers say when they are done, so `budget` is what they are given beyond that.
    #[must_use]
    pub const fn new(stand: Stand, budget: Duration) -> Self {
        Self { stand, budget }
    }

    /// The lab.
    #[must_use]
    pub const fn stand(&self) -> &Stand {
        &self.stand
    }

    /// The lab, to be taken down.
    #[must_use]
    pub fn into_stand(self) -> Stand {
        self.stand
    }
}

impl Scene for LabScene {
    type Error = StandError;

    fn state(&self) -> &ClusterState {
        self.stand.state()
    }

    async fn change_watched(
        &mut self,
        gone: Vec<ObjectKey>,
        objects: Vec<Object>,
        patterns: &[ProbePattern],
    ) -> Result<(Changed, Vec<Round>), StandError> {
        // A program stands where a CNI does: behind an API server. The lab's own enforcers are told everything.
        let (objects, refused) = if self.stand.is_enforced_by_a_program() {
            admitted(objects)
        } else {
            (objects, Vec::new())
        };
        let rounds = self.stand.change_watched(gone, objects, patterns).await?;
        let changed = match refused.is_empty() {
            true => Changed::Done,
            false => Changed::Partly { refused },
        };
        Ok((changed, rounds))
    }

    async fn probe(
        &mut self,
        patterns: &[ProbePattern],
        only: Option<&[usize]>,
    ) -> Result<Vec<JudgedAttempt>, StandError> {
        let snapshot = self.stand.state().snapshot();
        let (set, _) = compile(&snapshot);
        let mut all = attempts(&snapshot, patterns);
        if let Some(only) = only {
            all = pick(&all, only);
        }
        Ok(self.stand.judged("", &set, all).await?.attempts)
    }

    async fn restart(&mut self, patterns: &[ProbePattern]) -> Result<Vec<Round>, StandError> {
        self.stand.restart_enforcer(patterns).await
    }

    fn unplayable(&self, _: &Case, _: &[ProbePattern]) -> Option<&'static str> {
        None
    }

    fn sockets(&self) -> Result<Sockets, String> {
        Ok(Sockets::of(self.stand.cluster()))
    }

    async fn rest(&mut self, pause: Duration) -> Result<(), StandError> {
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn patience(&self) -> ScenePatience {
        ScenePatience {
            budget: self.budget,
            pause: PAUSE,
            says_when_done: true,
        }
    }
}

/// What an API server takes, and the policies that it refuses. That its refusals are our problems is held against a real one
/// (`tests/tests/it/cluster_refusals.rs`).
fn admitted(objects: Vec<Object>) -> (Vec<Object>, Vec<(ObjectKey, String)>) {
    let mut refused = Vec::new();
    let is_taken = |object: &Object| {
        let alone = match object {
            Object::Policy(policy) => Snapshot {
                policies: vec![policy.clone()],
                ..Snapshot::default()
            },
            Object::Admin(policy) => Snapshot {
                admin: vec![policy.clone()],
                ..Snapshot::default()
            },
            _ => return true,
        };
        let (_, problems) = compile(&alone);
        if let Some(problem) = problems.first() {
            refused.push((object.key(), problem.to_string()));
        }
        problems.is_empty()
    };
    let taken = objects.into_iter().filter(is_taken).collect();
    (taken, refused)
}

#[cfg(test)]
mod tests {
    use super::admitted;
    use crate::suite::cases::Suite;

    #[test]
    fn a_program_is_told_only_what_an_api_server_takes() {
        let suite = Suite::load("own").unwrap();
        let case = |id: &str| suite.cases.iter().find(|case| case.id == id).unwrap();
        for (id, refuses) in [("OWN-035", 1), ("OWN-036", 1), ("OWN-037", 1), ("OWN-038", 0)] {
            let applied = case(id).steps[0].apply.clone();
            let count = applied.len();
            let (taken, refused) = admitted(applied);
            assert_eq!((refused.len(), taken.len()), (refuses, count - refuses), "{id}");
        }
    }
}
