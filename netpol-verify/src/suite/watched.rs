//! A lab's enforcer is told something, or starts anew, and paths are tried meanwhile.

use std::{cell::Cell, time::Duration};

use super::{
    scenario::ProbePattern,
    scene::Round,
    stand::{Stand, StandError},
};
use crate::{
    cluster::{Object, ObjectKey},
    lab::enforcer::{AnyEnforcer, Enforcer as _},
    net::Clock,
};

/// So often an agent that starts tells its engine how the cluster stands: at its start, and when it has caught up.
const TELLINGS: u32 = 2;

/// A change is looked at so long at least: a program may say that it is done, and go on for a while.
const LOOK: Duration = Duration::from_millis(300);

impl Stand {
    /// Crashes the enforcer, starts it, and tells it anew how the cluster stands, and tries the paths over and over meanwhile:
    /// before it starts, while it is told, and after each time that it says that it is done.
    ///
    /// # Errors
    /// A probe cannot be made, or the enforcer refuses.
    pub(super) async fn restart_enforcer(
        &mut self,
        patterns: &[ProbePattern],
    ) -> Result<Vec<Round>, StandError> {
        self.crash_enforcer().await;
        let mut rounds = vec![self.round(patterns).await?];
        for _ in 0..TELLINGS {
            rounds.extend(self.enforce_watched(patterns, Duration::ZERO).await?);
            rounds.push(self.round(patterns).await?);
        }
        Ok(rounds)
    }

    /// Deletes and applies, tells the enforcer once, and tries the paths meanwhile; without paths as [`Self::change`].
    ///
    /// # Errors
    /// The kernel or the enforcer refuses, or a probe cannot be made.
    pub(super) async fn change_watched(
        &mut self,
        gone: Vec<ObjectKey>,
        objects: Vec<Object>,
        patterns: &[ProbePattern],
    ) -> Result<Vec<Round>, StandError> {
        self.wire(gone, objects).await?;
        if patterns.is_empty() {
            self.enforce().await?;
            return Ok(Vec::new());
        }
        self.enforce_watched(patterns, LOOK).await
    }

    /// Tells the enforcer how the cluster stands, and tries the paths over and over until it is done, and so long at least.
    async fn enforce_watched(
        &mut self,
        patterns: &[ProbePattern],
        at_least: Duration,
    ) -> Result<Vec<Round>, StandError> {
        let world = self.ready()?;
        let mut enforcer = self.change_enforcer(AnyEnforcer::None);
        let (began, is_done) = (Clock.now(), Cell::new(false));
        let telling = async {
            let told = enforcer.apply(&world).await;
            is_done.set(true);
            told
        };
        let looking = async {
            let mut rounds = Vec::new();
            while !is_done.get() || Clock.now().since(began) < at_least {
                rounds.push(self.round(patterns).await?);
            }
            Ok::<_, StandError>(rounds)
        };
        let (told, rounds) = tokio::join!(telling, looking);
        self.change_enforcer(enforcer);
        told?;
        rounds
    }

    async fn round(&mut self, patterns: &[ProbePattern]) -> Result<Round, StandError> {
        let at = Clock.now();
        let result = self.probe("", patterns).await?;
        Ok((at, result.attempts))
    }
}
