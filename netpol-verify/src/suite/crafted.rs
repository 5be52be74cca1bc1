//! Attempts made by hand: from a chosen port, under somebody else's address, or inside a tunnel.

use std::net::{IpAddr, SocketAddr};

use super::{
    judged,
    pairs::Attempt,
    stand::{Stand, StandError},
};
use crate::{finding::JudgedAttempt, judge::judge, policy::compile, sensor::Tunnel};

/// An attempt, and how its packet differs from what the pod would send by itself.
#[derive(Clone, Debug)]
pub struct Crafted {
    /// Who tries what; it is judged by this, whatever the packet says.
    pub attempt: Attempt,
    /// The source port, where it matters.
    pub source_port: Option<u16>,
    /// The source address that the packet gives, where it is not the pod's own.
    pub claimed: Option<IpAddr>,
    /// What the packet is wrapped in.
    pub tunnel: Option<Tunnel>,
}

impl Stand {
    /// Makes one such attempt and judges it; nothing where one of its pods is not there.
    ///
    /// # Errors
    /// A probe cannot be made.
    pub async fn try_crafted(
        &mut self,
        stage: &str,
        crafted: &Crafted,
    ) -> Result<Option<JudgedAttempt>, StandError> {
        let Some(mut planned) = self.plan(&crafted.attempt) else {
            return Ok(None);
        };
        let own = planned.probe.source;
        planned.probe.source = SocketAddr::new(
            crafted.claimed.unwrap_or_else(|| own.ip()),
            crafted.source_port.unwrap_or_else(|| own.port()),
        );
        let decided = self.run_planned(&planned, crafted.tunnel).await?;
        let (set, _) = compile(&self.state().snapshot());
        let path = self.path(&crafted.attempt);
        Ok(decided.map(|decided| {
            let judgement = judge(crafted.attempt.decide(&set), decided.outcome);
            judged::line(stage, &crafted.attempt, path, &judgement, decided.latency)
        }))
    }
}
