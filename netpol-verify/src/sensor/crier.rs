//! Announces interfaces on the bus.

use std::sync::Arc;

use crate::{
    bus::{Announcement, Bus, InterfaceState, Message, Origin, Roster, WatchedInterface},
    net::Clock,
};

/// Speaks for one sensor.
pub(super) struct Crier {
    pub(super) origin: Origin,
    pub(super) bus: Arc<dyn Bus>,
}

impl Crier {
    /// An interface came or changed.
    pub(super) fn announce(&self, interface: WatchedInterface) {
        self.publish(Message::Announcement(Announcement {
            origin: self.origin.clone(),
            interface,
        }));
    }

    /// An interface went.
    pub(super) fn gone(&self, mut interface: WatchedInterface) {
        interface.state = InterfaceState::Gone { at: Clock.now() };
        self.announce(interface);
    }

    /// All there are.
    pub(super) fn roster(&self, interfaces: Vec<WatchedInterface>) {
        self.publish(Message::Roster(Roster {
            origin: self.origin.clone(),
            at: Clock.now(),
            interfaces,
        }));
    }

    fn publish(&self, message: Message) {
        if let Err(rejected) = self.bus.publish(message) {
            // Without the announcement its pod counts as not watched: no verdict, no false one. A reader that is gone
            // wants none.
            if rejected.gone {
                tracing::debug!("The bus has no reader any more.");
            } else {
                tracing::error!("The bus is full and did not take an announcement.");
            }
        }
    }
}
