//! The sensor's end: a queue that never blocks, and one task that has it stored in order, frame by frame.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::jetstream::{self, context::PublishErrorKind, message::PublishMessage};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::sleep,
};

use super::{
    backoff::{Repeats, wait},
    connect::{Nats, check_payload},
    queue::{Queue, QueueLimits},
    subject,
    wire::{self, Frame, Piece, TOGETHER},
};
use crate::{
    bus::{Bus, Message, Origin, Rejected},
    causes::causes,
};

/// How often a frame that the server answers with an error is sent before it is given up: it must not stop the others.
const REFUSALS: usize = 8;

/// What became of what was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusCounts {
    /// Messages that are stored.
    pub stored: u64,
    /// Messages that did not fit into the queue and were given back.
    pub rejected: u64,
    /// Messages that were taken and given up: too large for the server, or refused by it again and again. Batches among
    /// them show as gaps in the sequence numbers.
    pub lost: u64,
    /// The records in those.
    pub lost_records: u64,
    /// Times that something was sent again.
    pub resent: u64,
}

/// The sensor's way to the stream. Dropping it ends it; what is still queued is lost then, so wait for
/// [`Self::flushed`] where that matters.
pub struct NatsBus {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    queue: Mutex<Queue>,
    more: Notify,
    counts: watch::Sender<BusCounts>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NatsBus {
    /// Starts to send; needs a runtime. Whether NATS is there or not, messages are taken until the queue is full.
    #[must_use]
    pub fn start(nats: Nats, limits: QueueLimits) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::new(limits)),
            more: Notify::new(),
            counts: watch::Sender::default(),
        });
        let publisher = Publisher {
            stream: nats.jetstream(),
            nats,
            shared: shared.clone(),
            carried: None,
            run: crate::random::random(),
            frames: 0,
            said: Repeats::default(),
        };
        let task = tokio::spawn(publisher.run());
        Self { shared, task }
    }

    /// What became of everything so far.
    #[must_use]
    pub fn counts(&self) -> BusCounts {
        *self.shared.counts.borrow()
    }

    /// Bytes that wait or are on their way.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue().bytes()
    }

    /// Waits until everything that was taken is stored or given up.
    pub async fn flushed(&self) {
        let mut counts = self.shared.counts.subscribe();
        while self.waiting() > 0 {
            if counts.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Bus for NatsBus {
    fn publish(&self, message: Message) -> Result<(), Rejected> {
        let reject = |gone, message| {
            self.shared.counts.send_modify(|counts| counts.rejected += 1);
            Err(Rejected { gone, message })
        };
        if self.task.is_finished() {
            return reject(true, Box::new(message));
        }
        // Without a subject it could not be sent however long it waited.
        if subject::sensor(&message.origin().node).is_none() {
            tracing::error!(node = ?message.origin().node, "That is no name of a node; what it says cannot be sent.");
            return reject(false, Box::new(message));
        }
        let taken = self.shared.queue().push(message);
        match taken {
            Ok(()) => {
                self.shared.more.notify_one();
                Ok(())
            }
            Err(message) => reject(false, message),
        }
    }
}

impl Drop for NatsBus {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A frame and what its end settles.
struct Group {
    frame: Frame,
    id: String,
    messages: u64,
    records: u64,
    cost: usize,
}

struct Publisher {
    nats: Nats,
    stream: jetstream::Context,
    shared: Arc<Shared>,
    /// Did not fit into the last frame.
    carried: Option<(Piece, usize)>,
    /// Drawn at random, so that no other bus's frames are taken for this one's, whatever their sensor's session.
    run: u64,
    frames: u64,
    said: Repeats,
}

impl Publisher {
    async fn run(mut self) {
        loop {
            self.nats.connected().await;
            let most = check_payload(self.nats.client());
            let Some(group) = self.next_group(most) else {
                self.shared.more.notified().await;
                continue;
            };
            let stored = self.store(&group).await;
            self.shared.queue().settle(group.cost);
            self.shared.counts.send_modify(|counts| {
                if stored {
                    counts.stored += group.messages;
                } else {
                    counts.lost += group.messages;
                    counts.lost_records += group.records;
                }
            });
        }
    }

    /// As much of what waits as fits into one frame.
    fn next_group(&mut self, most: usize) -> Option<Group> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut origin: Option<Origin> = None;
        let (mut size, mut cost, mut records) = (0, 0, 0);
        while pieces.len() < TOGETHER {
            let Some((piece, its_cost)) = self.carried.take().or_else(|| self.next_piece()) else {
                break;
            };
            let first = origin.get_or_insert_with(|| piece.origin.clone());
            let new = if pieces.is_empty() {
                wire::overhead(first) + piece.size()
            } else {
                size + piece.size()
            };
            if !pieces.is_empty() && (new > most || piece.origin != *first) {
                self.carried = Some((piece, its_cost));
                break;
            }
            (size, cost, records) = (new, cost + its_cost, records + piece.records);
            pieces.push(piece);
        }
        let origin = origin?;
        let messages = u64::try_from(pieces.len()).unwrap_or(u64::MAX);
        self.frames += 1;
        let id = format!("{}-{:x}-{}", origin.node, self.run, self.frames);
        // The name was looked at before it was queued.
        let frame = wire::join(&origin, pieces)?;
        Some(Group {
            frame,
            id,
            messages,
            records,
            cost,
        })
    }

    fn next_piece(&self) -> Option<(Piece, usize)> {
        loop {
            let (message, cost) = self.shared.queue().pop()?;
            match Piece::new(message) {
                Ok(piece) => return Some((piece, cost)),
                Err(error) => {
                    tracing::error!(%error, "A message cannot be written and is lost.");
                    self.shared.queue().settle(cost);
                    self.shared.counts.send_modify(|counts| counts.lost += 1);
                }
            }
        }
    }

    /// Sends a frame until it is stored. `false` when it was given up.
    async fn store(&mut self, group: &Group) -> bool {
        let mut refusals = 0;
        for attempt in 1.. {
            let connection = self.nats.connected().await;
            let answer = tokio::select! {
                answer = self.send(group) => answer,
                () = self.nats.lost(connection) => Err((PublishErrorKind::BrokenPipe, String::new())),
            };
            let (kind, cause) = match answer {
                Ok(()) => {
                    if self.said.forget() {
                        tracing::info!("What is published is stored again.");
                    }
                    return true;
                }
                Err(error) => error,
            };
            match kind {
                PublishErrorKind::MaxPayloadExceeded => {
                    tracing::error!(%cause, bytes = group.frame.payload.len(), "A message is too large for NATS and lost; set max_payload to 1MB.");
                    return false;
                }
                // The connection's own story, told there.
                PublishErrorKind::BrokenPipe => {}
                PublishErrorKind::StreamNotFound => {
                    self.tell("there is no stream yet; a verifier makes it");
                }
                PublishErrorKind::TimedOut => {
                    self.tell("no acknowledgement comes; NATS is busy, or the user may not publish there")
                }
                PublishErrorKind::WrongLastMessageId
                | PublishErrorKind::WrongLastSequence
                | PublishErrorKind::MaxAckPending
                | PublishErrorKind::Other => {
                    refusals += 1;
                    self.tell(&cause);
                }
            }
            if refusals >= REFUSALS {
                tracing::error!(%cause, messages = group.messages, "NATS refused a message again and again; it is lost.");
                return false;
            }
            self.shared.counts.send_modify(|counts| counts.resent += 1);
            if kind != PublishErrorKind::BrokenPipe {
                sleep(wait(attempt)).await;
            }
        }
        false
    }

    async fn send(&self, group: &Group) -> Result<(), (PublishErrorKind, String)> {
        let told = |error: jetstream::context::PublishError| (error.kind(), causes(&error));
        let message = PublishMessage::build()
            .headers(group.frame.headers.clone())
            .payload(group.frame.payload.clone())
            .message_id(&group.id);
        let answer = self
            .stream
            .send_publish(group.frame.subject.clone(), message)
            .await
            .map_err(told)?;
        answer.await.map(|_| ()).map_err(told)
    }

    fn tell(&mut self, cause: &str) {
        if self.said.is_news(cause) {
            tracing::warn!(%cause, "What is published is not stored; trying again.");
        }
    }
}
