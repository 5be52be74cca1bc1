//! The restart of a lab's enforcer, and what packets do meanwhile.

use std::cell::Cell;

use super::{
    scenario::ProbePattern,
    scene::Round,
    stand::{Stand, StandError},
};
use crate::{
    lab::enforcer::{AnyEnforcer, Enforcer as _},
    net::Clock,
};

/// So often an agent that starts tells its engine how the cluster stands: at its start, and when it has caught up.
const TELLINGS: u32 = 2;

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
        let mut rounds = Vec::new();
        self.crash_enforcer().await;
        rounds.push(self.round(patterns).await?);
        for _ in 0..TELLINGS {
            self.start_enforcer()?;
            let world = self.world();
            let mut enforcer = self.change_enforcer(AnyEnforcer::None);
            let is_done = Cell::new(false);
            let telling = async {
                let told = enforcer.apply(&world).await;
                is_done.set(true);
                told
            };
            let looking = async {
                while !is_done.get() {
                    rounds.push(self.round(patterns).await?);
                }
                Ok::<_, StandError>(())
            };
            let (told, seen) = tokio::join!(telling, looking);
            self.change_enforcer(enforcer);
            told?;
            seen?;
            rounds.push(self.round(patterns).await?);
        }
        Ok(rounds)
    }

    async fn round(&mut self, patterns: &[ProbePattern]) -> Result<Round, StandError> {
        let at = Clock.now();
        let result = self.probe("", patterns).await?;
        Ok((at, result.attempts))
    }
}
