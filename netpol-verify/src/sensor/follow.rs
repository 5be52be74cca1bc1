//! Follows pods as they come and go: when to look again, and how closely.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::{io::unix::AsyncFd, sync::mpsc, task::JoinHandle, time::sleep};

use super::{
    attach::Attachment,
    crier::Crier,
    discover::{Closely, Pods},
    events::{Hinted, Hints, Listening, listen_on_node},
    follower::{Follower, Unfinished},
    inside::OpenNetns,
    object::Object,
    sys::pollable,
};
use crate::{
    bus::{Bus, Origin},
    net::{Clock, KernelTime, NetnsCookie},
};

/// A change without an event of its own (a missed one) is found after this at the latest.
const RESCAN: Duration = Duration::from_secs(2);
/// What is about to change without an event (a file that is to be a namespace, a pod whose first process is to start) is
/// looked at again after this, then after twice as long, and so on.
const SOON: Duration = Duration::from_millis(1);
/// A pod's first process is waited for with at most this between two looks.
const WAITING: Duration = Duration::from_millis(100);
/// After a look of some length there is a rest of the same length, this at most: whoever makes events makes no more work
/// than half a processor does.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// Following is impossible.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The folder of network namespaces cannot be made or watched.
    #[error("watching {} for network namespaces: {cause}", folder.display())]
    Watch {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
}

/// The namespaces that are watched, held open.
pub(super) type Watched = Arc<Mutex<BTreeMap<NetnsCookie, OpenNetns>>>;

/// Follows until it is dropped; then every interface is let go.
pub struct Follow {
    task: JoinHandle<()>,
    rosters: mpsc::Sender<()>,
    watched: Watched,
}

impl Follow {
    /// Attaches to every pod that is there, then goes on following. When it returns, the pods that were there are
    /// announced.
    ///
    /// # Errors
    /// The folder of namespaces cannot be watched, and there is no other way to find pods.
    pub async fn start(
        object: Arc<Mutex<Object>>,
        origin: Origin,
        bus: Arc<dyn Bus>,
        pods: Pods,
        attachment: Attachment,
    ) -> Result<Self, FollowError> {
        let by_processes = pods.by_processes();
        let inotify = match watch(pods.folder()) {
            Ok(inotify) => Some(inotify),
            Err(cause) if by_processes => {
                tracing::warn!(folder = %pods.folder().display(), %cause, "Names of namespaces are not watched; scanning instead.");
                None
            }
            Err(cause) => {
                return Err(FollowError::Watch {
                    folder: pods.folder().to_path_buf(),
                    cause,
                });
            }
        };
        let hints = Arc::new(Hints::default());
        let node = if by_processes {
            listen_on_node(hints.clone())
        } else {
            None
        };
        let watched = Watched::default();
        let follower = Follower::new(
            object,
            Crier { origin, bus },
            pods,
            attachment,
            hints.clone(),
            watched.clone(),
        );
        let (rosters, asked) = mpsc::channel(2);
        let mut watch = Watch {
            follower,
            inotify,
            hints,
            asked,
            by_processes,
            scanned: Clock.now(),
            soon: SOON,
            _node: node,
        };
        let unfinished;
        (watch, unfinished) = watch.look(Hinted::default(), true).await;
        Ok(Self {
            task: tokio::spawn(watch.go_on(unfinished)),
            rosters,
            watched,
        })
    }

    /// Announces every interface at once, for somebody who has heard nothing yet.
    pub async fn roster(&self) {
        // It has ended only when this is being dropped.
        let _ = self.rosters.send(()).await;
    }

    /// A watched namespace, held open. As long as it is held, the pod's interfaces stay though the pod has gone.
    pub(super) fn netns(&self, cookie: NetnsCookie) -> Option<OpenNetns> {
        self.watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&cookie)
            .cloned()
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn watch(folder: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    fs::create_dir_all(folder)?;
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    inotify.add_watch(
        folder,
        AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVE,
    )?;
    pollable(OwnedFd::from(inotify))
}

/// Waits for the folder to change; what changed does not matter, a look finds it.
async fn changed(inotify: Option<&AsyncFd<OwnedFd>>) {
    let Some(inotify) = inotify else {
        return std::future::pending().await;
    };
    match inotify.readable().await {
        Ok(mut guard) => {
            let mut events = [0_u8; 4096];
            while nix::unistd::read(inotify.get_ref(), &mut events).is_ok_and(|length| length > 0) {}
            guard.clear_ready();
        }
        // The runtime is ending.
        Err(_) => std::future::pending().await,
    }
}

/// A follower, and what wakes it.
struct Watch {
    follower: Follower,
    inotify: Option<AsyncFd<OwnedFd>>,
    hints: Arc<Hints>,
    asked: mpsc::Receiver<()>,
    by_processes: bool,
    /// When everything was looked at last.
    scanned: KernelTime,
    soon: Duration,
    _node: Option<Listening>,
}

impl Watch {
    async fn go_on(mut self, mut unfinished: Unfinished) {
        loop {
            let wait = match unfinished {
                Unfinished::Nothing => RESCAN,
                Unfinished::Pod => self.soon.min(WAITING),
                Unfinished::Interface => self.soon.min(RESCAN),
            };
            let waited = sleep(wait);
            tokio::pin!(waited);
            let mut namespaces = true;
            loop {
                tokio::select! {
                    () = changed(self.inotify.as_ref()) => self.soon = SOON,
                    () = self.hints.come() => namespaces = false,
                    asked = self.asked.recv() => match asked {
                        None => return,
                        Some(()) => {
                            self.follower.roster();
                            continue;
                        }
                    },
                    () = &mut waited => self.soon = self.soon.saturating_mul(2).min(RESCAN),
                }
                break;
            }
            let mut hinted = self.hints.take();
            if hinted.namespaces || !hinted.inside.is_empty() {
                self.soon = SOON;
            }
            hinted.namespaces |= namespaces;
            let before = Clock.now();
            let thorough = before.since(self.scanned) >= RESCAN;
            if thorough {
                self.scanned = before;
            }
            (self, unfinished) = self.look(hinted, thorough).await;
            sleep(Clock.now().since(before).min(LONGEST_REST)).await;
        }
    }

    /// Entering namespaces blocks; the pods' own tasks go on meanwhile on the other worker.
    async fn look(self, hinted: Hinted, thorough: bool) -> (Self, Unfinished) {
        let looked = tokio::task::spawn_blocking(move || {
            let mut watch = self;
            let closely = (hinted.namespaces || thorough).then_some(Closely {
                processes: watch.by_processes,
                thorough,
            });
            let unfinished = watch.follower.look(closely, &hinted.inside);
            (watch, unfinished)
        });
        match looked.await {
            Ok(looked) => looked,
            // The look neither panics nor is cancelled while its runtime lives.
            Err(error) => std::panic::resume_unwind(Box::new(error.to_string())),
        }
    }
}
