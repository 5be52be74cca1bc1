//! A real NATS server with JetStream, users and rights as in a cluster, on a free port of the loopback; nothing of it is left
//! when it is dropped.

mod raw;
mod server;

pub use raw::RawNats;
pub use server::{NatsServer, Setup};
