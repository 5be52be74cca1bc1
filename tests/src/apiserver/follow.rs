//! A server followed on a thread of its own, so that it may be changed, killed and restarted meanwhile.

use std::{
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Error, Result, bail};
use netpol_verify::{
    cluster::{Access, Change, Followed, LiveCluster, Told},
    lab::Netns,
    net::KernelTime,
};
use tokio::sync::oneshot;

use super::ApiServer;

/// Far longer than anything takes; who waits so long waits in vain.
const PATIENCE: Duration = Duration::from_secs(180);
/// A kind that is not served is asked for again after this, so that tests need not wait.
const ASK_AGAIN: Duration = Duration::from_millis(300);

/// What a user, or another context of the kubeconfig, is told.
pub struct Follower {
    told: Receiver<Told>,
    /// Dropped with this, which ends the thread.
    _stop: oneshot::Sender<()>,
    followed: Followed,
    /// Counts what was told, and serves as the time.
    now: KernelTime,
    changes: Vec<Change>,
}

impl Follower {
    /// Begins to follow.
    ///
    /// # Errors
    /// The server's namespace cannot be entered.
    pub fn start(server: &ApiServer, context: &str) -> Result<Self> {
        let (netns, access) = (Netns::open(&server.name)?, server.access(context));
        let (tell, told) = channel();
        let (stop, stopped) = oneshot::channel();
        thread::spawn(move || {
            let ended = netns.run(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(follow(&access, stopped, |told| tell.send(told).is_ok()))
            });
            if let Err(error) = ended.map_err(Error::from).flatten() {
                eprintln!("Following ended: {error:#}");
            }
        });
        Ok(Self {
            told,
            _stop: stop,
            followed: Followed::default(),
            now: KernelTime(0),
            changes: Vec::new(),
        })
    }

    /// Takes what is told until something holds; what changed on the way.
    ///
    /// # Errors
    /// It never comes to hold.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Followed) -> bool) -> Result<Vec<Change>> {
        let end = Instant::now() + PATIENCE;
        while !holds(&self.followed) {
            let left = end.saturating_duration_since(Instant::now());
            let told = self
                .told
                .recv_timeout(left)
                .with_context(|| format!("waiting until {what}; {:#?}", self.followed))?;
            self.now = KernelTime(self.now.0 + 1);
            self.changes.extend(self.followed.take(told, self.now));
            if left.is_zero() {
                bail!("waiting until {what}; {:#?}", self.followed);
            }
        }
        Ok(std::mem::take(&mut self.changes))
    }

    /// What is known by now.
    #[must_use]
    pub const fn followed(&self) -> &Followed {
        &self.followed
    }
}

async fn follow(
    access: &Access,
    mut stopped: oneshot::Receiver<()>,
    tell: impl Fn(Told) -> bool,
) -> Result<()> {
    let cluster = LiveCluster::find(access).await?;
    let mut watching = cluster.watch(ASK_AGAIN).await;
    loop {
        let told = tokio::select! {
            _ = &mut stopped => return Ok(()),
            told = watching.next() => told.context("a watch ended")?,
        };
        if !told.into_iter().all(&tell) {
            return Ok(());
        }
    }
}
