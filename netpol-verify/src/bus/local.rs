//! The bus inside one process: the lab, a single node, tests.

use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

use super::{Bus, Inbox, Message, Rejected};

/// The sending end.
#[derive(Clone)]
pub struct LocalBus(Sender<Message>);

/// The receiving end.
pub struct LocalInbox(Receiver<Message>);

impl LocalBus {
    /// A bus that holds so many messages before it rejects one.
    #[must_use]
    pub fn new(capacity: usize) -> (Self, LocalInbox) {
        let (sender, receiver) = channel(capacity.max(1));
        (Self(sender), LocalInbox(receiver))
    }
}

impl Bus for LocalBus {
    fn publish(&self, message: Message) -> Result<(), Rejected> {
        self.0.try_send(message).map_err(|error| match error {
            TrySendError::Full(message) => Rejected {
                gone: false,
                message: Box::new(message),
            },
            TrySendError::Closed(message) => Rejected {
                gone: true,
                message: Box::new(message),
            },
        })
    }
}

impl Inbox for LocalInbox {
    async fn receive(&mut self) -> Option<Message> {
        self.0.recv().await
    }
}

impl LocalInbox {
    /// A message that is already there.
    pub fn try_receive(&mut self) -> Option<Message> {
        self.0.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::LocalBus;
    use crate::{
        bus::{Batch, Bus as _, Message, Origin},
        net::KernelTime,
    };

    fn heartbeat(sequence: u64) -> Message {
        Message::Batch(Batch {
            origin: Origin {
                node: "n".into(),
                session: 1,
            },
            sequence,
            records: bytes::Bytes::new(),
            drained_at: KernelTime(1),
            losses: Default::default(),
            functions: Default::default(),
            heard: Vec::new(),
        })
    }

    #[test]
    fn a_full_bus_gives_the_message_back_and_does_not_block() {
        let (bus, mut inbox) = LocalBus::new(1);
        assert!(bus.publish(heartbeat(1)).is_ok());
        let rejected = bus.publish(heartbeat(2)).unwrap_err();
        assert!(!rejected.gone);
        assert!(matches!(*rejected.message, Message::Batch(batch) if batch.sequence == 2));
        assert!(inbox.try_receive().is_some());
        assert!(bus.publish(heartbeat(3)).is_ok());
        drop(inbox);
        assert!(bus.publish(heartbeat(4)).unwrap_err().gone);
    }
}
