//! The bus through NATS JetStream: what sensors say is a stream that verifiers read, questions are requests to one sensor.
//!
//! ```text
//! sensor                                     NATS                              verifier
//! NatsBus   -- npv.sensors.<node> --------> stream NPV -- ordered reading ---> NatsInbox
//! NatsAsks <-- npv.ask.<node> (request) ------------------------------------- NatsSensors
//! NatsAsks <-- npv.call ------------------------------------------------------ NatsSensors
//! ```
//!
//! Order: a sensor sends what it has in one frame and the next one only after that is stored, so nothing that is sent
//! again can come after what was said later. What was stored twice is thrown away by its id. What is lost on the way, in
//! a queue that is full or a stream that throws away its oldest, shows as a gap in the batches' sequence numbers.
//!
//! A sensor needs no right to the JetStream API: verifiers make the stream. What comes from the bus is hostile: bounded,
//! refused and counted where it makes no sense, and it must come on the subject of the node that it claims to be.

mod access;
mod ask;
mod backoff;
mod connect;
mod credentials;
mod error;
mod inbox;
mod place;
mod publish;
mod queue;
mod refusal;
mod stream;
mod subject;
mod tls;
mod wire;

#[cfg(test)]
mod tests;

pub use access::{NatsAccess, Password, Role};
pub use ask::{NatsAsks, NatsSensors, Question, Responder};
pub use connect::{Link, Nats};
pub use credentials::{Credentials, CredentialsError, SERVER_NAME, fresh_credentials};
pub use error::NatsError;
pub use inbox::{InboxCounts, NatsInbox, Start};
pub use publish::{BusCounts, NatsBus};
pub use queue::QueueLimits;
pub use refusal::Refusal;
pub use stream::{StreamLimits, ensure_stream};
