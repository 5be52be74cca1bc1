//! The stream that keeps what sensors say until every verifier has read it, or for ten minutes.

use std::time::Duration;

use async_nats::jetstream::{
    ErrorCode,
    context::{CreateStreamErrorKind, GetStreamErrorKind},
    stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType},
};

use super::{connect::Nats, error::NatsError, subject::ALL_SENSORS};

/// Its name.
pub(super) const NAME: &str = "NPV";
/// Says that it is ours.
const DESCRIPTION: &str = "netpol-verify: what sensors say";
/// What is sent again within this time is stored once.
const DUPLICATES: Duration = Duration::from_secs(120);

/// How much the stream keeps. What it throws away before it was read shows as a gap in the batches' numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Bytes on the server's disk.
    pub bytes: u64,
    /// How long.
    pub age: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            bytes: 256 * 1024 * 1024,
            age: Duration::from_secs(600),
        }
    }
}

impl StreamLimits {
    fn config(self) -> Config {
        Config {
            name: NAME.to_owned(),
            description: Some(DESCRIPTION.to_owned()),
            subjects: vec![ALL_SENSORS.to_owned()],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            storage: StorageType::File,
            num_replicas: 1,
            max_bytes: i64::try_from(self.bytes).unwrap_or(i64::MAX),
            max_age: self.age,
            max_messages: -1,
            max_messages_per_subject: -1,
            max_message_size: -1,
            max_consumers: -1,
            duplicate_window: DUPLICATES.min(self.age),
            ..Config::default()
        }
    }
}

/// Sees that the stream is there with these limits; it does not matter who comes first. A verifier's right.
///
/// # Errors
/// JetStream is off or full, a stream of that name is somebody else's, or NATS is not there.
pub async fn ensure_stream(nats: &Nats, limits: StreamLimits) -> Result<(), NatsError> {
    ensured(nats, limits).await.map(|_| ())
}

/// As [`ensure_stream`], and what is in it.
pub(super) async fn ensured(nats: &Nats, limits: StreamLimits) -> Result<Info, NatsError> {
    let jetstream = nats.jetstream();
    let wanted = limits.config();
    let found = match jetstream.get_stream(NAME).await {
        Ok(stream) => stream.cached_info().clone(),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                match jetstream.create_stream(wanted.clone()).await {
                    Ok(stream) => return Ok(stream.cached_info().clone()),
                    Err(error) if is_taken(&error.kind()) => jetstream
                        .get_stream(NAME)
                        .await
                        .map_err(|error| NatsError::step("reading the stream")(&error))?
                        .cached_info()
                        .clone(),
                    Err(error) => return Err(NatsError::step("making the stream")(&error)),
                }
            }
            _ => return Err(NatsError::step("reading the stream")(&error)),
        },
    };
    let Some(config) = changed(&found.config, &wanted)? else {
        return Ok(found);
    };
    jetstream
        .update_stream(config)
        .await
        .map_err(|error| NatsError::step("changing the stream's limits")(&error))
}

/// Whether another verifier was faster, with other limits.
fn is_taken(kind: &CreateStreamErrorKind) -> bool {
    matches!(kind, CreateStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NAME_EXIST)
}

/// What has to be changed to have what is wanted; what a server's administrator chose besides stays.
fn changed(found: &Config, wanted: &Config) -> Result<Option<Config>, NatsError> {
    if found.description.as_deref() != Some(DESCRIPTION) || found.subjects != wanted.subjects {
        return Err(NatsError::Foreign {
            name: NAME,
            why: format!("its subjects are {:?}", found.subjects),
        });
    }
    let is_same = found.max_bytes == wanted.max_bytes
        && found.max_age == wanted.max_age
        && found.discard == wanted.discard
        && found.max_message_size == wanted.max_message_size
        && found.duplicate_window == wanted.duplicate_window;
    Ok((!is_same).then(|| Config {
        max_bytes: wanted.max_bytes,
        max_age: wanted.max_age,
        discard: wanted.discard,
        max_message_size: wanted.max_message_size,
        duplicate_window: wanted.duplicate_window,
        ..found.clone()
    }))
}
