//! Messages as bytes: an index in a header, bodies one after the other in the payload; records stay as they are. An index
//! that is too long for a header goes before the bodies.

use std::{borrow::Cow, collections::BTreeMap};

use async_nats::{HeaderMap, HeaderValue};
use bytes::{Bytes, BytesMut};
use netpol_verify_ebpf::RECORD_SIZE;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    refusal::{FORMAT, Refusal, quoted},
    subject,
};
use crate::{
    bus::{
        Announcement, Batch, Heard, LossTotals, Message, NodeFacts, Origin, Roster, SensorFacts,
        WatchedInterface,
    },
    net::KernelTime,
};

const FORMAT_HEADER: &str = "Npv-Format";
const INDEX_HEADER: &str = "Npv-Index";
/// Instead of the index: so many bytes of the payload are it.
const INDEX_BYTES_HEADER: &str = "Npv-Index-Bytes";
/// JetStream stores no more than 64 KiB of headers; a longer index goes before the bodies.
const INDEX_IN_HEADER: usize = 32 * 1024;
/// Messages that may travel together.
pub(super) const TOGETHER: usize = 256;
/// More than a server takes by default, and too little to hurt.
const INDEX_LIMIT: usize = 4 * 1024 * 1024;
/// Verifiers at once; a sensor keeps 16.
const HEARD_LIMIT: usize = 64;

/// As it is sent.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

/// A message that is ready to travel with others of its sensor.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) origin: Origin,
    pub(super) records: u64,
    entry: String,
    body: Bytes,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Index<'a, E> {
    node: Cow<'a, str>,
    session: u64,
    entries: Vec<E>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Entry<'a> {
    Batch {
        bytes: usize,
        sequence: u64,
        drained_at: KernelTime,
        losses: Cow<'a, LossTotals>,
        functions: Cow<'a, BTreeMap<u64, String>>,
        heard: Cow<'a, [Heard]>,
    },
    Announcement {
        bytes: usize,
    },
    Roster {
        bytes: usize,
        at: KernelTime,
    },
    Node {
        bytes: usize,
    },
}

impl Entry<'_> {
    const fn bytes(&self) -> usize {
        match self {
            Self::Batch { bytes, .. }
            | Self::Announcement { bytes }
            | Self::Roster { bytes, .. }
            | Self::Node { bytes } => *bytes,
        }
    }
}

impl Piece {
    /// Reads a message into bytes; records are not copied.
    pub(super) fn new(message: Message) -> Result<Self, serde_json::Error> {
        let origin = message.origin().clone();
        let (records, entry, body) = match message {
            Message::Batch(batch) => {
                let entry = Entry::Batch {
                    bytes: batch.records.len(),
                    sequence: batch.sequence,
                    drained_at: batch.drained_at,
                    losses: Cow::Borrowed(&*batch.losses),
                    functions: Cow::Borrowed(&batch.functions),
                    heard: Cow::Borrowed(&batch.heard),
                };
                let records = u64::try_from(batch.len()).unwrap_or(u64::MAX);
                (records, serde_json::to_string(&entry)?, batch.records.clone())
            }
            Message::Announcement(announcement) => {
                let (bytes, body) = json(&announcement.interface)?;
                (0, serde_json::to_string(&Entry::Announcement { bytes })?, body)
            }
            Message::Roster(roster) => {
                let (bytes, body) = json(&roster.interfaces)?;
                let at = roster.at;
                (0, serde_json::to_string(&Entry::Roster { bytes, at })?, body)
            }
            Message::Node(node) => {
                let (bytes, body) = json(&node.facts)?;
                (0, serde_json::to_string(&Entry::Node { bytes })?, body)
            }
        };
        Ok(Self {
            origin,
            records,
            entry,
            body,
        })
    }

    /// Bytes that it adds to a frame.
    pub(super) fn size(&self) -> usize {
        self.entry.len() + 1 + self.body.len()
    }
}

fn json<T: Serialize>(body: &T) -> Result<(usize, Bytes), serde_json::Error> {
    let body = Bytes::from(serde_json::to_vec(body)?);
    Ok((body.len(), body))
}

/// Bytes of a frame besides its pieces: names of headers, the index' own, an id.
pub(super) fn overhead(origin: &Origin) -> usize {
    512 + origin.node.len()
}

/// Puts pieces of one sensor together. `None` where the node's name can be no subject.
pub(super) fn join(origin: &Origin, pieces: Vec<Piece>) -> Option<Frame> {
    let entries: Vec<&str> = pieces.iter().map(|piece| piece.entry.as_str()).collect();
    // A name that can be a subject needs no quoting.
    let subject = subject::sensor(&origin.node)?;
    let index = format!(
        r#"{{"node":"{}","session":{},"entries":[{}]}}"#,
        origin.node,
        origin.session,
        entries.join(",")
    );
    let mut headers = HeaderMap::new();
    headers.insert(FORMAT_HEADER, FORMAT);
    let is_short = index.len() <= INDEX_IN_HEADER;
    if is_short {
        // JSON has no raw line ends, which is all that a header may not have.
        headers.insert(INDEX_HEADER, index.parse::<HeaderValue>().ok()?);
    } else {
        headers.insert(INDEX_BYTES_HEADER, HeaderValue::from(index.len()));
    }
    let payload = match <[Piece; 1]>::try_from(pieces) {
        Ok([piece]) if is_short => piece.body,
        pieces => {
            let pieces = pieces.map_or_else(|pieces| pieces, Vec::from);
            let bodies = pieces.iter().map(|piece| piece.body.len()).sum::<usize>();
            let mut payload = BytesMut::with_capacity(index.len() + bodies);
            if !is_short {
                payload.extend_from_slice(index.as_bytes());
            }
            for piece in pieces {
                payload.extend_from_slice(&piece.body);
            }
            payload.freeze()
        }
    };
    Some(Frame {
        subject,
        headers,
        payload,
    })
}

/// Reads what came on a subject; records are not copied.
///
/// # Errors
/// It makes no sense, all of it: what half of a broken frame says is not believed either.
pub(super) fn read(
    subject: &str,
    headers: Option<&HeaderMap>,
    mut payload: Bytes,
) -> Result<Vec<Message>, Refusal> {
    let header = |name| {
        headers
            .and_then(|headers| headers.get(name))
            .map(HeaderValue::as_str)
    };
    let format = header(FORMAT_HEADER).unwrap_or_default();
    if format != FORMAT {
        return Err(Refusal::Format {
            found: quoted(format),
        });
    }
    let before_bodies;
    let index = match header(INDEX_BYTES_HEADER) {
        None => header(INDEX_HEADER).unwrap_or_default().as_bytes(),
        Some(bytes) => {
            let bytes = bytes.parse().map_err(|_| Refusal::Index {
                cause: "its length is no number".to_owned(),
            })?;
            if bytes > payload.len() {
                return Err(Refusal::Length {
                    said: bytes,
                    found: payload.len(),
                });
            }
            before_bodies = payload.split_to(bytes);
            &before_bodies[..]
        }
    };
    if index.len() > INDEX_LIMIT {
        return Err(Refusal::TooMany { what: "index" });
    }
    let index: Index<'_, Entry<'_>> = serde_json::from_slice(index).map_err(|error| Refusal::Index {
        cause: quoted(&error.to_string()),
    })?;
    if !subject::speaks_for(subject, &index.node) {
        return Err(Refusal::Origin {
            claimed: quoted(&index.node),
            subject: quoted(subject),
        });
    }
    if index.entries.len() > TOGETHER {
        return Err(Refusal::TooMany { what: "messages" });
    }
    let said = index
        .entries
        .iter()
        .fold(0, |sum: usize, entry| sum.saturating_add(entry.bytes()));
    if said != payload.len() {
        return Err(Refusal::Length {
            said,
            found: payload.len(),
        });
    }
    let origin = Origin {
        node: index.node.into(),
        session: index.session,
    };
    index
        .entries
        .into_iter()
        .map(|entry| {
            // The sum is right, so each is there; and were it not, it would be cut, not a panic.
            let bytes = entry.bytes().min(payload.len());
            message(&origin, entry, payload.split_to(bytes))
        })
        .collect()
}

fn message(origin: &Origin, entry: Entry<'_>, body: Bytes) -> Result<Message, Refusal> {
    let origin = origin.clone();
    Ok(match entry {
        Entry::Batch {
            sequence,
            drained_at,
            losses,
            functions,
            heard,
            ..
        } => {
            if !body.len().is_multiple_of(RECORD_SIZE) {
                return Err(Refusal::Records { bytes: body.len() });
            }
            if heard.len() > HEARD_LIMIT {
                return Err(Refusal::TooMany {
                    what: "heard verifiers",
                });
            }
            Message::Batch(Batch {
                origin,
                sequence,
                records: body,
                drained_at,
                losses: losses.into_owned().into(),
                functions: functions.into_owned(),
                heard: heard.into_owned(),
            })
        }
        Entry::Announcement { .. } => Message::Announcement(Announcement {
            origin,
            interface: body_of::<WatchedInterface>("interface", &body)?,
        }),
        Entry::Roster { at, .. } => Message::Roster(Roster {
            origin,
            at,
            interfaces: body_of::<Vec<WatchedInterface>>("list of interfaces", &body)?,
        }),
        Entry::Node { .. } => Message::Node(NodeFacts {
            origin,
            facts: body_of::<SensorFacts>("facts of its node", &body)?,
        }),
    })
}

fn body_of<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::Body {
        what,
        cause: quoted(&error.to_string()),
    })
}
