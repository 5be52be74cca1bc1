//! What waits to be sent: bounded by bytes and messages, with room that records cannot take.

use std::collections::VecDeque;

use crate::bus::{Batch, Message, WatchedInterface};

/// What a message costs besides what is in it.
const FRAME: usize = 256;

/// How much a sensor keeps while NATS is slow or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Bytes of records, and of what is said with them.
    pub bytes: usize,
    /// Batches.
    pub messages: usize,
    /// Bytes on top, for what a sensor says of itself and its interfaces: a flood of records must not hide where they
    /// come from.
    pub reserve: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            bytes: 16 * 1024 * 1024,
            messages: 16_384,
            reserve: 4 * 1024 * 1024,
        }
    }
}

/// Messages in their order, and the bytes that count: those on their way too, until they are [`Queue::settle`]d.
#[derive(Debug)]
pub(super) struct Queue {
    messages: VecDeque<(Message, usize)>,
    bytes: usize,
    limits: QueueLimits,
}

impl Queue {
    pub(super) const fn new(limits: QueueLimits) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            limits,
        }
    }

    /// Takes a message, or gives it back.
    pub(super) fn push(&mut self, message: Message) -> Result<(), Box<Message>> {
        let cost = cost(&message);
        let bytes = self.bytes.saturating_add(cost);
        let fits = match &message {
            Message::Batch(_) => bytes <= self.limits.bytes && self.messages.len() < self.limits.messages,
            Message::Announcement(_) | Message::Roster(_) | Message::Node(_) => {
                bytes <= self.limits.bytes.saturating_add(self.limits.reserve)
            }
        };
        // One that is larger than everything is somebody's choice of limits: it may pass alone.
        if !fits && self.bytes > 0 {
            return Err(Box::new(message));
        }
        self.bytes = bytes;
        self.messages.push_back((message, cost));
        Ok(())
    }

    /// The next message and what it costs until it is settled.
    pub(super) fn pop(&mut self) -> Option<(Message, usize)> {
        self.messages.pop_front()
    }

    /// What was popped is stored, or lost.
    pub(super) fn settle(&mut self, cost: usize) {
        self.bytes = self.bytes.saturating_sub(cost);
    }

    /// Bytes that wait or are on their way.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// About how much memory a message takes.
fn cost(message: &Message) -> usize {
    match message {
        Message::Batch(batch) => FRAME + of_batch(batch),
        Message::Announcement(announcement) => FRAME + of_interface(&announcement.interface),
        Message::Roster(roster) => FRAME + roster.interfaces.iter().map(of_interface).sum::<usize>(),
        Message::Node(node) => {
            let facts = &node.facts;
            let notes: usize = facts.notes.iter().map(|note| note.len() + 32).sum();
            FRAME + notes + 64 * (facts.drop_reasons.len() + facts.functions.len())
        }
    }
}

fn of_batch(batch: &Batch) -> usize {
    let names: usize = batch.functions.values().map(|name| name.len() + 48).sum();
    let heard: usize = batch.heard.iter().map(|call| call.verifier.len() + 48).sum();
    // The losses are shared between batches until they grow.
    batch.records.len() + names + heard
}

fn of_interface(interface: &WatchedInterface) -> usize {
    let pods: usize = interface.pods.iter().map(|pod| pod.len() + 32).sum();
    160 + interface.netns_name.len() + interface.ifname.len() + pods + 32 * interface.addresses.len()
}
