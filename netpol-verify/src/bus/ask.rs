//! What a verifier may ask of one node's sensor, and what it is answered: in-process by a call, in a cluster by NATS
//! request and reply.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::SensorFacts;
use crate::net::{KernelTime, NetnsCookie, Protocol};

/// Packets that one question may order: a sensor is nobody's packet generator.
pub const PROBES_AT_ONCE: usize = 4096;

/// How long a sensor attends at most before it folds repeats again, in milliseconds: a verifier that is gone must not
/// leave it busy.
pub const ATTENTION: u64 = 60_000;

/// A question to a sensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ask {
    /// Empty the ring, publish what is in it, and prove it by a heartbeat.
    Sync,
    /// Send these packets, publish what became of them at once, and say which left. [`PROBES_AT_ONCE`] at most.
    Probe(Vec<ProbeOrder>),
    /// Record every packet, repeats too, for so many milliseconds from now: probes are coming. No longer than
    /// [`ATTENTION`] at once; asking again extends it.
    Attend(u64),
    /// What the node is.
    Facts,
}

/// One packet to be sent from a pod of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeOrder {
    /// From which network namespace; it must be one that the sensor watches.
    pub netns: NetnsCookie,
    /// The protocol.
    pub protocol: Protocol,
    /// The pod's own address and a port.
    pub source: SocketAddr,
    /// Whom it is for.
    pub destination: SocketAddr,
    /// Initial sequence number, initiate tag, or the number in a datagram. The same again is a retransmission.
    pub nonce: u32,
}

/// A sensor's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// The ring was empty at this moment, and a heartbeat that says so has been handed to the bus.
    Synced(KernelTime),
    /// One for each order, in their order: when the packet was handed to the kernel, or why it did not leave.
    Probed(Vec<Result<KernelTime, String>>),
    /// From this moment on every packet is recorded.
    Attending(KernelTime),
    /// What the node is, and the sensor's session.
    Facts(u64, Box<SensorFacts>),
    /// The question makes no sense, or the sensor is ending.
    Refused(String),
}

/// A question that got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No sensor listens there.
    #[error("no sensor answers on node {node}: see that its pod runs, and that it reaches the bus")]
    NoSensor {
        /// The node.
        node: String,
    },
    /// It listens and did not answer in time.
    #[error("the sensor on node {node} did not answer in time")]
    Timeout {
        /// The node.
        node: String,
    },
    /// The bus is not there.
    #[error("asking the sensor on node {node}: {cause}")]
    Bus {
        /// The node.
        node: String,
        /// Why.
        cause: String,
    },
    /// The answer cannot be read.
    #[error("the sensor on node {node} answered what cannot be read: {cause}")]
    Unreadable {
        /// The node.
        node: String,
        /// Why.
        cause: String,
    },
}

/// The verifier's way to sensors: questions to one, calls to all.
pub trait Sensors: Send + Sync + 'static {
    /// Asks one node's sensor.
    fn ask(&self, node: &str, ask: Ask) -> impl Future<Output = Result<Answer, AskError>> + Send;

    /// Calls all sensors with the verifier's own time, so that their next batches tie the clocks together, and a sensor
    /// that has not heard this verifier before tells it everything.
    fn call(&self, verifier: &str, now: KernelTime) -> impl Future<Output = ()> + Send;
}
