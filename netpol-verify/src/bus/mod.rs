//! What sensors say to the verifier, and the way it travels: in-process here, by NATS in a cluster.

mod ask;
mod local;
mod message;
pub mod nats;

pub use ask::{ATTENTION, Answer, Ask, AskError, PROBES_AT_ONCE, ProbeOrder, Sensors};
pub use local::{LocalBus, LocalInbox};
pub use message::{
    Announcement, Batch, Heard, InterfaceState, LossTotals, Message, NodeFacts, NodeName, Origin, Roster,
    SensorFacts, WatchedInterface,
};

/// The sending end of a bus. A bus never blocks a node: what it cannot take is counted by the sender.
pub trait Bus: Send + Sync + 'static {
    /// Hands a message over.
    ///
    /// # Errors
    /// The bus is full or gone; the message comes back so that its records can be counted as lost.
    fn publish(&self, message: Message) -> Result<(), Rejected>;
}

/// The receiving end of a bus.
pub trait Inbox: Send + 'static {
    /// The next message, or `None` when every sender is gone.
    fn receive(&mut self) -> impl Future<Output = Option<Message>> + Send;
}

/// The bus did not take a message.
#[derive(Debug, thiserror::Error)]
#[error("the bus is {}", if *.gone { "closed" } else { "full" })]
pub struct Rejected {
    /// The receiver is gone, rather than slow.
    pub gone: bool,
    /// The message.
    pub message: Box<Message>,
}
