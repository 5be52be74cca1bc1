//! The join: every sighting finds its attempt by source and number.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use super::{
    datagrams::Datagrams,
    losses::LossLog,
    outcome::Outcome,
    trace::{AnswerSeen, Trace, Window},
    watch::Watch,
};
use crate::{
    bus::{Announcement, Batch},
    net::{AttemptKey, KernelTime, NetnsCookie, Protocol},
    observe::{Packet, Sighting, Where},
};

/// How long silence must last before it means something.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// After the last packet of an attempt, until it counts as unanswered.
    pub silence: Duration,
    /// After the pod's answer, until it counts as lost.
    pub reply: Duration,
}

impl Default for Patience {
    /// One machine's kernel moves a packet in microseconds; half a second leaves room for a virtual CPU that is taken
    /// away, and for one neighbour resolution (1 s retransmission timer excluded: probes retransmit).
    fn default() -> Self {
        Self {
            silence: Duration::from_millis(500),
            reply: Duration::from_millis(200),
        }
    }
}

/// Attempts that are kept at most; the oldest make room.
const KEPT: usize = 1 << 20;

/// Joins the sightings of one node's sensor (or of several whose clock is one, as in the lab).
pub struct Tracker {
    traces: HashMap<AttemptKey, Trace>,
    order: VecDeque<AttemptKey>,
    /// A datagram's answer says whom it is for, not what it answers.
    datagrams: Datagrams,
    watch: Watch,
    losses: LossLog,
    sequence: Option<u64>,
    /// Batches that are missing and records that are damaged since the last heartbeat. Whatever they held was seen after
    /// it, up to nobody knows when: the next heartbeat ends the span.
    missing: u64,
    kept: usize,
    proven: KernelTime,
    patience: Patience,
    /// Whose drops count; `None`: everybody's.
    scope: Option<HashSet<NetnsCookie>>,
}

impl Tracker {
    /// A tracker that has seen nothing.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self::with_capacity(patience, KEPT)
    }

    /// As [`Self::new`], for so many attempts at most; the oldest make room.
    #[must_use]
    pub fn with_capacity(patience: Patience, kept: usize) -> Self {
        Self {
            traces: HashMap::new(),
            order: VecDeque::new(),
            datagrams: Datagrams::default(),
            watch: Watch::default(),
            losses: LossLog::default(),
            sequence: None,
            missing: 0,
            kept: kept.max(1),
            proven: KernelTime(0),
            patience,
            scope: None,
        }
    }

    /// From now on only drops in these namespaces count, and those before a device was known: the kernel tells the drops
    /// of the whole machine, and two labs on it use the same addresses.
    pub fn only_drops_in(&mut self, scope: HashSet<NetnsCookie>) {
        self.scope = Some(scope);
    }

    /// Takes an announcement.
    pub fn announce(&mut self, announcement: &Announcement) {
        self.watch.announce(announcement);
    }

    /// Takes what a batch says besides its records; call it after the batch's sightings.
    pub fn batch(&mut self, batch: &Batch) {
        if let Some(last) = self.sequence
            && let Some(missing) = batch
                .sequence
                .checked_sub(last.saturating_add(1))
                .filter(|&missing| missing > 0)
        {
            self.missing = self.missing.saturating_add(missing);
        }
        self.sequence = Some(batch.sequence);
        if batch.is_empty() {
            if self.missing > 0 {
                self.losses.gap(
                    batch.drained_at.max(batch.losses.read_at),
                    std::mem::take(&mut self.missing),
                );
            }
            self.losses.heartbeat(&batch.losses, batch.drained_at);
            self.proven = self.proven.max(batch.drained_at);
        }
    }

    /// Takes note of records that came and could not be read: each may have been the sighting that decides.
    pub fn damage(&mut self, records: u64) {
        self.missing = self.missing.saturating_add(records);
    }

    /// Takes a sighting; tells the attempt it belongs to.
    pub fn sighting(&mut self, sighting: Sighting) -> Option<AttemptKey> {
        let Sighting {
            time,
            netns,
            ifindex,
            at,
            packet,
            folded: _,
        } = sighting;
        let somewhere_else =
            netns != NetnsCookie(0) && self.scope.as_ref().is_some_and(|scope| !scope.contains(&netns));
        if matches!(at, Where::Dropped(_)) && somewhere_else {
            return None;
        }
        match packet {
            Packet::First { key, to } => {
                self.forward(key, time, netns, ifindex, at, to);
                Some(key)
            }
            Packet::Datagram { key, to } => {
                // Towards a socket that asked its sender: an answer, and no attempt of its own.
                let answered = self.datagrams.answered(key.source, to);
                if let Some(asked) = answered {
                    self.back(asked, time, netns, ifindex, &at, AnswerSeen::Datagram);
                }
                if answered.is_none() {
                    self.datagrams.asked(key, to);
                    self.forward(key, time, netns, ifindex, at, to);
                }
                Some(answered.unwrap_or(key))
            }
            Packet::Answer { kind, to, from: _ } => self.traces.contains_key(&to).then(|| {
                self.back(to, time, netns, ifindex, &at, AnswerSeen::Tcp(kind));
                to
            }),
            Packet::Error { about, code } => self.traces.contains_key(&about).then(|| {
                self.back(about, time, netns, ifindex, &at, AnswerSeen::Unreachable(code));
                about
            }),
            Packet::Other => None,
        }
    }

    fn forward(
        &mut self,
        key: AttemptKey,
        time: KernelTime,
        netns: NetnsCookie,
        ifindex: crate::net::Ifindex,
        at: Where,
        to: SocketAddr,
    ) {
        if !self.traces.contains_key(&key) {
            self.order.push_back(key);
            self.make_room();
        }
        let trace = self.traces.entry(key).or_default();
        match at {
            Where::Sent => trace.add_sent(time, netns),
            Where::Delivered => trace.add_delivered(time, netns, to),
            Where::Flooded => {}
            Where::Dropped(dropped) => trace.add_drop(time, netns, ifindex, dropped),
        }
    }

    fn back(
        &mut self,
        key: AttemptKey,
        time: KernelTime,
        netns: NetnsCookie,
        ifindex: crate::net::Ifindex,
        at: &Where,
        seen: AnswerSeen,
    ) {
        let Some(trace) = self.traces.get_mut(&key) else {
            return;
        };
        match at {
            Where::Sent => trace.add_reply_sent(time, netns),
            Where::Delivered => trace.add_reply_delivered(time, netns, seen),
            Where::Flooded => {}
            Where::Dropped(dropped) => trace.add_reply_drop(time, netns, ifindex, dropped.clone()),
        }
    }

    fn make_room(&mut self) {
        while self.order.len() > self.kept {
            if let Some(oldest) = self.order.pop_front() {
                self.forget(&oldest);
            }
        }
    }

    /// What was seen of an attempt.
    #[must_use]
    pub fn trace(&self, key: &AttemptKey) -> Option<&Trace> {
        self.traces.get(key)
    }

    /// What became of an attempt, as far as it can be told now. `window.proven` is filled in.
    #[must_use]
    pub fn outcome(&self, key: &AttemptKey, window: Window) -> Outcome {
        let window = Window {
            proven: self.proven,
            ..window
        };
        let nothing = Trace::default();
        let trace = self.traces.get(key).unwrap_or(&nothing);
        trace.outcome(key.protocol, window, &self.watch, &self.losses, self.patience)
    }

    /// Up to when every record has been read.
    #[must_use]
    pub const fn proven(&self) -> KernelTime {
        self.proven
    }

    /// The losses so far.
    #[must_use]
    pub const fn losses(&self) -> &LossLog {
        &self.losses
    }

    /// Lets go of an attempt that has been judged.
    pub fn forget(&mut self, key: &AttemptKey) {
        self.traces.remove(key);
        if key.protocol == Protocol::Udp {
            self.datagrams.forget(key);
        }
    }
}

#[cfg(test)]
mod tests;
