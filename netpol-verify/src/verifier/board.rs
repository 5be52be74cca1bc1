//! What the verifier shows: written by its one loop, read by whoever asks over HTTP.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::{
    ledger::{JudgedLine, Ledger},
    passive::{Judged, NotJudged},
};
use crate::net::KernelTime;

/// Findings that are kept.
const FINDINGS: usize = 10_000;
/// Lines that a slow reader may be behind.
const BEHIND: usize = 4_096;

/// How the verifier is, as of its last look at itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Why it is not ready.
    pub not_ready: Option<String>,
    /// Why nothing can be judged now, or not everything.
    pub doubts: Vec<String>,
    /// Sensors that were heard of a moment ago.
    pub sensors_live: u64,
    /// Sensors that are silent.
    pub sensors_stale: u64,
    /// Seconds since each kind was heard of.
    pub watch_ages: BTreeMap<&'static str, f64>,
    /// Attempts that wait.
    pub pending: u64,
    /// Attempts of which packets are kept.
    pub tracked: u64,
    /// Interfaces by their state.
    pub interfaces: BTreeMap<&'static str, u64>,
    /// Records that were lost, by where.
    pub lost: BTreeMap<&'static str, u64>,
    /// Attempts that were not judged.
    pub not_judged: NotJudged,
    /// Policies of every kind.
    pub policies: u64,
    /// Pods.
    pub pods: u64,
    /// Sensors that announce pods of other nodes.
    pub strangers: u64,
}

/// What the verifier shows.
#[derive(Debug)]
pub struct Board {
    ledger: Mutex<Ledger>,
    status: Mutex<Status>,
    stream: broadcast::Sender<Arc<JudgedLine>>,
    pub(super) readers_dropped: AtomicU64,
}

impl Default for Board {
    fn default() -> Self {
        let (stream, _) = broadcast::channel(BEHIND);
        let status = Status {
            not_ready: Some("it has just started".to_owned()),
            ..Status::default()
        };
        Self {
            ledger: Mutex::new(Ledger::new(FINDINGS)),
            status: Mutex::new(status),
            stream,
            readers_dropped: AtomicU64::new(0),
        }
    }
}

/// Two clocks at one moment, so that one's moments can be told on the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wall {
    pub(super) now: KernelTime,
    pub(super) timestamp: Timestamp,
}

impl Wall {
    pub(super) fn at(self, moment: KernelTime) -> Timestamp {
        let ago = i64::try_from(self.now.since(moment).as_nanos()).unwrap_or(i64::MAX);
        let span = jiff::SignedDuration::from_nanos(ago);
        self.timestamp.checked_sub(span).unwrap_or(self.timestamp)
    }
}

impl Board {
    /// Takes what was judged.
    pub(super) fn take(&self, judged: &[Judged], wall: Wall) {
        if judged.is_empty() {
            return;
        }
        let mut ledger = self.ledger();
        for one in judged {
            let at = wall.at(one.at);
            ledger.take(at, one.code, &one.attempt);
            if self.stream.receiver_count() > 0 {
                let line = JudgedLine {
                    at,
                    code: one.code.map(|code| code.id.to_owned()),
                    attempt: one.attempt.clone(),
                };
                // Whoever listened has just gone.
                let _ = self.stream.send(Arc::new(line));
            }
        }
    }

    /// What was judged.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_status(&self, status: Status) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// How the verifier is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<JudgedLine>> {
        self.stream.subscribe()
    }

    /// Readers that could not keep up and were let go.
    #[must_use]
    pub fn readers_dropped(&self) -> u64 {
        self.readers_dropped.load(Ordering::Relaxed)
    }
}
