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
    cluster::{ClusterState, Object, ObjectKey},
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

    async fn change(&mut self, gone: Vec<ObjectKey>, objects: Vec<Object>) -> Result<Changed, StandError> {
        self.stand.change(gone, objects).await?;
        Ok(Changed::Done)
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
