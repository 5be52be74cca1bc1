//! The verifier's end: the stream read in order, across lost connections, lost streams and messages that make no sense.

use std::collections::VecDeque;

use async_nats::{
    HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{
        self,
        consumer::{AckPolicy, pull},
        message::StreamMessage,
        response::Response,
        stream::RawMessage,
    },
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::sleep,
};

use super::{
    backoff::{Repeats, wait},
    connect::Nats,
    error::NatsError,
    place::{Place, Seen},
    stream::{NAME, StreamLimits, ensured},
    subject::ALL_SENSORS,
    wire,
};
use crate::bus::{Inbox, Message};

pub use super::place::Start;

/// Frames that are read ahead of the verifier; each has a mebibyte at most.
const AHEAD: usize = 32;
/// What is asked of the server at once.
const PULL_MESSAGES: usize = 512;
const PULL_BYTES: usize = 16 * 1024 * 1024;
/// How often the server says that there is nothing new: twice without that, and the reader is made anew.
const HEARTBEAT: Duration = Duration::from_secs(5);
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// When the server forgets a reader that is gone.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Messages in a row that are got past by hand before reading is tried again.
const STEPS: usize = 1_000;

/// What came of what was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboxCounts {
    /// Messages that were given out.
    pub received: u64,
    /// What made no sense.
    pub refused: u64,
    /// What the stream threw away before it was read: several messages may be in one. Their batches show as gaps too.
    pub discarded: u64,
    /// How often reading began, or began again.
    pub attached: u64,
}

/// The stream of what all sensors say.
pub struct NatsInbox {
    frames: mpsc::Receiver<Vec<Message>>,
    ready: VecDeque<Message>,
    counts: watch::Receiver<InboxCounts>,
    task: JoinHandle<()>,
}

impl NatsInbox {
    /// Starts to read; needs a runtime. The stream is made where it is missing, whenever that is. Where NATS is not there
    /// yet, reading begins when it is.
    #[must_use]
    pub fn open(nats: Nats, limits: StreamLimits, start: Start) -> Self {
        let (out, frames) = mpsc::channel(AHEAD);
        let (counts, watched) = watch::channel(InboxCounts::default());
        let reader = Reader {
            jetstream: nats.jetstream(),
            nats,
            limits,
            place: Place::new(start),
            out,
            counts,
            said: Repeats::default(),
        };
        Self {
            frames,
            ready: VecDeque::new(),
            counts: watched,
            task: tokio::spawn(reader.run()),
        }
    }

    /// Waits until reading has begun: what is said from then on is read, with [`Start::Now`] too.
    pub async fn attached(&self) {
        // The reader ends with this.
        let _ = self
            .counts
            .clone()
            .wait_for(|counts| counts.attached > 0)
            .await
            .is_ok();
    }

    /// What came of what was read so far.
    #[must_use]
    pub fn counts(&self) -> InboxCounts {
        *self.counts.borrow()
    }

    /// A message that is already there.
    pub fn try_receive(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            self.ready.extend(self.frames.try_recv().ok()?);
        }
    }
}

impl Inbox for NatsInbox {
    async fn receive(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            // Whole frames: nothing is lost when this is dropped while it waits.
            self.ready.extend(self.frames.recv().await?);
        }
    }
}

impl Drop for NatsInbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why reading has to begin again.
enum Broken {
    /// The connection went.
    Link,
    /// The reader on the server, or the way from it.
    Reader(String),
    /// Nobody listens here any more.
    Ended,
}

#[derive(Deserialize)]
struct Got {
    message: RawMessage,
}

struct Reader {
    nats: Nats,
    jetstream: jetstream::Context,
    limits: StreamLimits,
    place: Place,
    out: mpsc::Sender<Vec<Message>>,
    counts: watch::Sender<InboxCounts>,
    said: Repeats,
}

impl Reader {
    async fn run(mut self) {
        let mut stuck = false;
        let mut attempt = 0;
        loop {
            let connection = self.nats.connected().await;
            attempt += 1;
            let before = self.place.next();
            // A message that the library cannot read breaks the connection, each time anew: get past it by hand.
            if stuck && !self.step().await {
                return;
            }
            let broken = match self.attach().await {
                Ok(messages) => {
                    stuck = true;
                    self.follow(messages, connection).await
                }
                Err(error) => Broken::Reader(error.to_string()),
            };
            if self.place.next() != before {
                attempt = 0;
            }
            match broken {
                Broken::Ended => return,
                Broken::Link => {}
                Broken::Reader(cause) => {
                    if self.said.is_news(&cause) {
                        tracing::warn!(%cause, "What sensors say cannot be read; trying again.");
                    }
                    sleep(wait(attempt)).await;
                }
            }
        }
    }

    /// Makes a reader on the server, at this reader's place.
    async fn attach(&mut self) -> Result<pull::Stream, NatsError> {
        let info = ensured(&self.nats, self.limits).await?;
        let found = match self.place.doubt(&info) {
            Some(number) => self.get(json!({"seq": number})).await?.and_then(|message| {
                id(StreamMessage::try_from(message)
                    .ok()
                    .as_ref()
                    .map(|it| &it.headers))
            }),
            None => None,
        };
        let next = self.place.resume(&info, found.as_deref());
        let consumer = self
            .jetstream
            .create_consumer_on_stream(
                pull::Config {
                    description: Some("netpol-verify verifier".to_owned()),
                    deliver_policy: next.into(),
                    ack_policy: AckPolicy::None,
                    inactive_threshold: FORGOTTEN,
                    memory_storage: true,
                    num_replicas: 1,
                    ..pull::Config::default()
                },
                NAME,
            )
            .await
            .map_err(|error| NatsError::step("making a reader of the stream")(&error))?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(PULL_MESSAGES)
            .max_bytes_per_batch(PULL_BYTES)
            .heartbeat(HEARTBEAT)
            .expires(PULL_EXPIRES)
            .messages()
            .await
            .map_err(|error| NatsError::step("reading the stream")(&error))?;
        self.counts.send_modify(|counts| counts.attached += 1);
        Ok(messages)
    }

    /// Reads on until something breaks.
    async fn follow(&mut self, mut messages: pull::Stream, connection: u64) -> Broken {
        let mut expected = 1;
        loop {
            let message = tokio::select! {
                biased;
                // What has come counts, also when the connection has gone since.
                message = messages.next() => message,
                () = self.nats.lost(connection) => return Broken::Link,
                () = self.out.closed() => return Broken::Ended,
            };
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Broken::Reader(crate::causes::causes(&error)),
                None => return Broken::Reader("the server ended it".to_owned()),
            };
            let Ok(info) = message.info() else {
                return Broken::Reader("a message came without its number".to_owned());
            };
            // Between the server and here one was lost.
            if info.consumer_sequence != expected {
                return Broken::Reader("a message was lost on the way".to_owned());
            }
            expected += 1;
            let seen = Seen {
                number: info.stream_sequence,
                published: info.published,
                id: id(message.headers.as_ref()),
            };
            if self.said.forget() {
                tracing::info!("What sensors say is read again.");
            }
            let headers = message.headers.as_ref();
            if !self
                .take(seen, &message.subject, headers, message.payload.clone())
                .await
            {
                return Broken::Ended;
            }
        }
    }

    /// Reads the next message by hand, and whatever cannot be read before it. `false` when nobody listens any more.
    async fn step(&mut self) -> bool {
        for _ in 0..STEPS {
            let Some(next) = self.place.next() else {
                return true;
            };
            let request = json!({"seq": next, "next_by_subj": ALL_SENSORS});
            let Ok(Some(raw)) = self.get(request).await else {
                return true;
            };
            let (number, published) = (raw.sequence, raw.time);
            match StreamMessage::try_from(raw) {
                Ok(message) => {
                    let headers = Some(&message.headers);
                    let id = id(headers);
                    let seen = Seen {
                        number,
                        published,
                        id,
                    };
                    return self.take(seen, &message.subject, headers, message.payload).await;
                }
                Err(error) => {
                    let id = None;
                    self.place.note(Seen {
                        number,
                        published,
                        id,
                    });
                    self.refuse(number, &error.to_string());
                }
            }
        }
        true
    }

    /// Hands a frame on. `false` when nobody listens any more.
    async fn take(&mut self, seen: Seen, subject: &str, headers: Option<&HeaderMap>, payload: Bytes) -> bool {
        let number = seen.number;
        let Some(discarded) = self.place.note(seen) else {
            return true;
        };
        if discarded > 0 {
            tracing::warn!(
                discarded,
                "The stream threw messages away before they were read; give it more room."
            );
            self.counts.send_modify(|counts| counts.discarded += discarded);
        }
        match wire::read(subject, headers, payload) {
            Ok(messages) => {
                let received = u64::try_from(messages.len()).unwrap_or(u64::MAX);
                self.counts.send_modify(|counts| counts.received += received);
                self.out.send(messages).await.is_ok()
            }
            Err(refusal) => {
                self.refuse(number, &refusal.to_string());
                true
            }
        }
    }

    fn refuse(&self, number: u64, cause: &str) {
        self.counts.send_modify(|counts| counts.refused += 1);
        // The words are hostile: quoted, which escapes them.
        tracing::warn!(number, cause = ?cause, "A message on the bus makes no sense and is refused.");
    }

    /// Asks the stream for one message, in a form that no message can break. `None` where it is not there.
    async fn get(&self, request: serde_json::Value) -> Result<Option<RawMessage>, NatsError> {
        let answer: Response<Got> = self
            .jetstream
            .request(format!("STREAM.MSG.GET.{NAME}"), &request)
            .await
            .map_err(|error| NatsError::step("reading one message")(&error))?;
        Ok(match answer {
            Response::Ok(got) => Some(got.message),
            Response::Err { .. } => None,
        })
    }
}

fn id(headers: Option<&HeaderMap>) -> Option<String> {
    Some(headers?.get(NATS_MESSAGE_ID)?.as_str().to_owned())
}
