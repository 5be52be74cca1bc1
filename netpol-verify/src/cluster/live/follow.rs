//! One resource followed: listed, watched from there on, and begun again after whatever went wrong.
//!
//! Not by kube's `watcher`: it keeps to itself that a watch stands again and that a bookmark came, and then a quiet cluster
//! and a dead connection look alike. Its backoff, its page size and its time limits are kept.

use std::{collections::BTreeSet, pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt as _};
use kube::{
    core::{Request, params::WatchParams},
    runtime::watcher::DefaultBackoff,
};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    Denied, LiveCluster, LiveError, Told,
    error::causes,
    page::{Step, Walk},
    read::{FORBIDDEN, GONE, PAGE_SIZE, in_other_versions},
    resource::{Need, Resource},
    told,
};
use crate::cluster::ObjectKey;

const NOT_FOUND: u16 = 404;
/// The server ends a watch after 290 s, as kube asks it to; who is silent for longer is gone.
const SILENCE: Duration = Duration::from_secs(295);
/// A watch in good health says something before it ends. After so many that did not, something is between us and the server.
const MUTE_WATCHES: u32 = 3;
/// Any version of long ago: who may watch is told that it is gone.
const LONG_AGO: &str = "1";

type Event = kube::core::WatchEvent<Value>;
type Events = Pin<Box<dyn Stream<Item = Result<Event, kube::Error>> + Send>>;

/// Follows one resource.
pub(super) struct Follower {
    cluster: LiveCluster,
    resource: &'static Resource,
    tell: mpsc::Sender<Told>,
    ask_again: Duration,
    backoff: DefaultBackoff,
    /// A right was missing, so rights are asked for before anything is listed in vain.
    is_denied: bool,
}

/// Why a turn ended.
enum Stop {
    /// Nobody listens any more.
    Unheard,
    Failed(LiveError),
    /// The resource is not served; what an answer lacks all the same.
    Absent(Option<String>),
}

impl From<LiveError> for Stop {
    fn from(error: LiveError) -> Self {
        Self::Failed(error)
    }
}

impl Follower {
    pub(super) fn new(
        cluster: LiveCluster,
        resource: &'static Resource,
        tell: mpsc::Sender<Told>,
        ask_again: Duration,
    ) -> Self {
        Self {
            cluster,
            resource,
            tell,
            ask_again,
            backoff: DefaultBackoff::default(),
            is_denied: false,
        }
    }

    /// Follows until nobody listens.
    pub(super) async fn run(mut self) {
        let kind = self.resource.object;
        loop {
            let Err(mut stop) = self.turn().await;
            if let Stop::Failed(error) = stop {
                stop = self.explained(error).await;
            }
            let (told, pause) = match stop {
                Stop::Unheard => return,
                Stop::Failed(why) => {
                    tracing::debug!(%kind, error = %why, "A watch is broken.");
                    (Told::Broken { kind, why }, self.pause())
                }
                Stop::Absent(lacks) => (Told::Absent { kind, lacks }, self.ask_again),
            };
            if self.tell(told).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Lists, and then watches for as long as that goes well.
    async fn turn(&mut self) -> Result<std::convert::Infallible, Stop> {
        if self.is_denied {
            self.rights().await?;
            self.is_denied = false;
        }
        let (mut version, keys) = self.list().await?;
        let mut events = self.open(&version).await?;
        // Not before the watch stands: who lists and may not watch would be told the truth only now and then.
        let kind = self.resource.object;
        self.tell(Told::Listed { kind, keys }).await?;
        let mut mute = 0;
        loop {
            if self.hear(events, &mut version).await? {
                mute = 0;
            } else {
                mute += 1;
                if mute == MUTE_WATCHES {
                    let server = self.cluster.server.clone();
                    let cause = format!("{} ended {mute} times without a word", self.what("watch"));
                    return Err(Stop::Failed(LiveError::Unreachable { server, cause }));
                }
                tokio::time::sleep(self.pause()).await;
            }
            events = self.open(&version).await?;
        }
    }

    /// Tells what there is, page by page; where the watch begins, and all names.
    async fn list(&self) -> Result<(String, BTreeSet<ObjectKey>), Stop> {
        let (mut walk, mut keys) = (Walk::default(), BTreeSet::new());
        loop {
            let answer = self.cluster.page(self.resource, PAGE_SIZE, walk.next()).await?;
            let (items, version) = match walk.take(answer) {
                Step::More(items) => (items, None),
                Step::Last(items, version) => (items, Some(version)),
                // What was told is true all the same, or will be found to be gone.
                Step::Again => {
                    keys.clear();
                    continue;
                }
                Step::GivenUp => return Err(self.cluster.expired(self.resource).into()),
            };
            for item in items {
                keys.insert(told::key(self.resource, &item));
                self.tell(told::put(self.resource, item)).await?;
            }
            match version {
                None => {}
                Some(version) if version.is_empty() => {
                    let cause = "the list has no metadata.resourceVersion".to_owned();
                    return Err(self.cluster.not_kubernetes(&self.what("list"), cause).into());
                }
                Some(version) => return Ok((version, keys)),
            }
        }
    }

    /// Begins a watch behind a version.
    async fn open(&self, version: &str) -> Result<Events, LiveError> {
        let what = self.what("watch");
        let request = Request::new(self.resource.path())
            .watch(&WatchParams::default(), version)
            .map_err(|error| self.cluster.not_kubernetes(&what, causes(&error)))?;
        let events = self.cluster.client.request_events::<Value>(request);
        match self.cluster.in_time(&what, events).await {
            Ok(events) => Ok(events.boxed()),
            Err(LiveError::Refused { code: GONE, .. }) => Err(self.lapsed()),
            Err(error) => Err(error),
        }
    }

    /// Tells what a watch says until it ends; whether it said anything.
    async fn hear(&self, mut events: Events, version: &mut String) -> Result<bool, Stop> {
        let mut any = false;
        while let Ok(Some(event)) = tokio::time::timeout(SILENCE, events.next()).await {
            let told = match event {
                Ok(Event::Added(object) | Event::Modified(object)) => {
                    moved(version, &object);
                    told::put(self.resource, object)
                }
                Ok(Event::Deleted(object)) => {
                    moved(version, &object);
                    Told::Gone(told::key(self.resource, &object))
                }
                Ok(Event::Bookmark(bookmark)) => {
                    *version = bookmark.metadata.resource_version;
                    Told::Alive(self.resource.object)
                }
                Ok(Event::Error(status)) if status.code == GONE => return Err(self.lapsed().into()),
                Ok(Event::Error(status)) => return Err(self.failed(kube::Error::Api(status)).into()),
                // The connection broke; whether the server is still there, the next watch tells.
                Err(kube::Error::ReadEvents(_)) => break,
                // What kube takes for a status because it is no event: any object is one, without a code.
                Err(kube::Error::Api(status)) if status.code == 0 => {
                    let cause = "a watch gave an object that is no event".to_owned();
                    return Err(self.cluster.not_kubernetes(&self.what("watch"), cause).into());
                }
                Err(error) => return Err(self.failed(error).into()),
            };
            any = true;
            self.tell(told).await?;
        }
        Ok(any)
    }

    /// Asks for the two rights as cheaply as can be, and names all that are missing.
    async fn rights(&self) -> Result<(), LiveError> {
        let listed = self.cluster.page(self.resource, 1, None).await.map(|_| ());
        let watched = self.open(LONG_AGO).await.map(|_| ());
        let (mut denied, mut first_said) = (Vec::new(), None);
        for (verb, answer) in [("list", listed), ("watch", watched)] {
            match answer {
                Ok(()) | Err(LiveError::Lapsed { .. }) => {}
                Err(LiveError::Refused {
                    code: FORBIDDEN,
                    said,
                    ..
                }) => {
                    denied.push(Denied::of(verb, self.resource));
                    first_said.get_or_insert(said);
                }
                Err(error) => return Err(error),
            }
        }
        first_said.map_or(Ok(()), |said| {
            let server = self.cluster.server.clone();
            Err(LiveError::Forbidden { server, denied, said })
        })
    }

    /// What a refusal means: a right that is missing, or a resource that is not served. A server says 403 for both.
    async fn explained(&mut self, error: LiveError) -> Stop {
        let code = match &error {
            LiveError::Refused { code, .. } => *code,
            LiveError::Forbidden { .. } => FORBIDDEN,
            _ => return error.into(),
        };
        if matches!(self.resource.need, Need::Served(_)) && matches!(code, FORBIDDEN | NOT_FOUND) {
            match self.cluster.versions_of(self.resource).await {
                Ok(versions) if versions.is_empty() => return Stop::Absent(None),
                Ok(versions) if !versions.iter().any(|it| it == self.resource.version) => {
                    let lacks = in_other_versions(self.resource, &versions.join(", "));
                    return Stop::Absent(Some(lacks));
                }
                Ok(_) => {}
                Err(refused @ LiveError::Refused { .. }) if code == NOT_FOUND => {
                    // Not served as it is read, and nobody says whether otherwise.
                    return Stop::Absent(Some(refused.to_string()));
                }
                Err(LiveError::Refused { .. }) => {}
                Err(other) => return other.into(),
            }
        }
        let is_unexplained = code == FORBIDDEN && !matches!(error, LiveError::Forbidden { .. });
        self.is_denied = code == FORBIDDEN;
        if is_unexplained {
            // Where nothing is missing any more, the next turn goes well.
            return self.rights().await.err().unwrap_or(error).into();
        }
        error.into()
    }

    async fn tell(&self, told: Told) -> Result<(), Stop> {
        self.tell.send(told).await.map_err(|_| Stop::Unheard)
    }

    fn pause(&mut self) -> Duration {
        self.backoff.next().unwrap_or(self.ask_again)
    }

    fn what(&self, verb: &str) -> String {
        format!("{verb} {}", self.resource.plural)
    }

    fn lapsed(&self) -> LiveError {
        LiveError::Lapsed {
            server: self.cluster.server.clone(),
            what: self.resource.plural.to_owned(),
        }
    }

    fn failed(&self, error: kube::Error) -> LiveError {
        self.cluster.failed(&self.what("watch"), error)
    }
}

/// The watch goes on behind this object.
fn moved(version: &mut String, object: &Value) {
    if let Some(at) = told::version(object).filter(|at| !at.is_empty()) {
        at.clone_into(version);
    }
}
