//! The cluster as it changes: one watch a resource, whatever the cluster's size, and one stream of what they tell.

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinSet};

use super::{LiveCluster, Told, follow::Follower, resource::RESOURCES};

/// So much is told ahead; then the watches wait, and the server with them.
const AHEAD: usize = 1_024;

/// Watches that run until this is dropped.
#[derive(Debug)]
pub struct Watching {
    told: mpsc::Receiver<Told>,
    tasks: JoinSet<()>,
}

impl LiveCluster {
    /// Follows all that policies and packets depend on. What fails is told and tried again, never given up.
    ///
    /// `ask_again` is how long a kind that the server does not serve is left alone: [`Watching::ASK_AGAIN`].
    pub async fn watch(&self, ask_again: Duration) -> Watching {
        let (tell, told) = mpsc::channel(AHEAD);
        let mut tasks = JoinSet::new();
        for resource in &RESOURCES {
            tasks.spawn(Follower::new(self.clone(), resource, tell.clone(), ask_again).run());
        }
        Watching { told, tasks }
    }
}

impl Watching {
    /// Someone who installs policies of administrators waits so long until they are judged.
    pub const ASK_AGAIN: Duration = Duration::from_secs(120);

    /// Waits until something is told, and gives what was told by then, in order; some hundreds at most. Nothing is lost
    /// where the caller stops waiting. `None`: a watch ended, which is a fault of this program; who goes on watches anew.
    pub async fn next(&mut self) -> Option<Vec<Told>> {
        let mut told = Vec::new();
        tokio::select! {
            biased;
            Some(Err(error)) = self.tasks.join_next() => {
                tracing::error!(%error, "A watch ended.");
                return None;
            }
            _ = self.told.recv_many(&mut told, AHEAD) => {}
        }
        Some(told).filter(|told| !told.is_empty())
    }
}
