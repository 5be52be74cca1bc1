//! The join: every sighting finds its attempt by source and number.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use super::{
    clock::NodeClock,
    datagrams::Datagrams,
    node::Nodes,
    outcome::Outcome,
    trace::{AnswerSeen, Trace, Window},
};
use crate::{
    bus::{Announcement, Batch, NodeFacts, NodeName, Origin, Roster},
    net::{AttemptKey, KernelTime, Netns, NetnsCookie, NodeId, Protocol},
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

/// Joins the sightings of many nodes' sensors.
pub struct Tracker {
    traces: HashMap<AttemptKey, Trace>,
    order: VecDeque<AttemptKey>,
    /// A datagram's answer says whom it is for, not what it answers.
    datagrams: Datagrams,
    /// Our own probes, by the numbers that we drew for them: those name a probe whose source was rewritten on its way.
    ours: HashMap<(Protocol, u32), AttemptKey>,
    /// The numbers of what carries a probe of ours inside.
    carriers: HashMap<AttemptKey, (Protocol, u32)>,
    nodes: Nodes,
    /// How we call ourselves, by which sensors tell our calls from others'; `None`: their clock is ours.
    name: Option<String>,
    kept: usize,
    patience: Patience,
}

impl Tracker {
    /// A tracker of sensors on this machine, whose clock is ours.
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
            ours: HashMap::new(),
            carriers: HashMap::new(),
            nodes: Nodes::default(),
            name: None,
            kept: kept.max(1),
            patience,
        }
    }

    /// A tracker of sensors anywhere, which hear the calls of a verifier of that name.
    #[must_use]
    pub fn of_cluster(patience: Patience, name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::new(patience)
        }
    }

    /// For so many attempts at most; the oldest make room.
    #[must_use]
    pub fn keeping(mut self, kept: usize) -> Self {
        self.kept = kept.max(1);
        self
    }

    /// From now on only drops in these namespaces count, and those before a device was known: the kernel tells the drops
    /// of the whole machine, and two labs on it use the same addresses.
    pub fn only_drops_in(&mut self, scope: HashSet<NetnsCookie>) {
        self.nodes.only_drops_in(scope);
    }

    /// The node that a message comes from.
    pub fn node(&mut self, name: &NodeName) -> NodeId {
        self.nodes.id(name)
    }

    fn speaks(&mut self, origin: &Origin) -> NodeId {
        let clock = match self.name {
            Some(_) => NodeClock::default(),
            None => NodeClock::shared(),
        };
        let id = self.nodes.id(&origin.node);
        self.nodes.get_mut(id).session(origin, clock);
        id
    }

    /// Takes an announcement.
    pub fn announce(&mut self, announcement: &Announcement) {
        let id = self.speaks(&announcement.origin);
        self.nodes.get_mut(id).watch.announce(&announcement.interface);
    }

    /// Takes all of a node's interfaces.
    pub fn roster(&mut self, roster: &Roster) {
        let id = self.speaks(&roster.origin);
        self.nodes.get_mut(id).watch.roster(roster);
    }

    /// Takes what a node is.
    pub fn facts(&mut self, facts: &NodeFacts) {
        let id = self.speaks(&facts.origin);
        self.nodes.get_mut(id).host = Some(facts.facts.host_netns);
    }

    /// Takes what a batch says besides its records, and when it came; call it after the batch's sightings.
    pub fn batch(&mut self, batch: &Batch, arrived: KernelTime) {
        let id = self.speaks(&batch.origin);
        let node = self.nodes.get_mut(id);
        if let Some(name) = &self.name {
            for heard in batch.heard.iter().filter(|heard| heard.verifier == *name) {
                node.clock.heard(heard.called_at, heard.heard_at, arrived);
            }
        }
        node.batch(batch, arrived);
    }

    /// Takes note of records that came and could not be read: each may have been the sighting that decides.
    pub fn damage(&mut self, node: NodeId, records: u64) {
        self.nodes.get_mut(node).damage(records);
    }

    /// A probe of ours is sent. Its number is random and ours, so whatever carries it is the probe, under whatever source: a
    /// node that rewrites its pods' addresses (masquerade) must hide neither a delivery nor a drop. Until it is forgotten.
    pub fn expect(&mut self, key: AttemptKey) {
        self.ours.insert((key.protocol, key.discriminator), key);
    }

    /// The same of what carries a probe of ours inside: it is the probe as long as nobody has unpacked it.
    pub fn expect_as(&mut self, carrier: AttemptKey, key: AttemptKey) {
        let number = (carrier.protocol, carrier.discriminator);
        self.ours.insert(number, key);
        self.carriers.insert(key, number);
    }

    /// The name of an attempt, whoever its source is said to be here.
    fn name_of(&self, key: AttemptKey) -> AttemptKey {
        let ours = self.ours.get(&(key.protocol, key.discriminator));
        *ours.unwrap_or(&key)
    }

    /// Takes a sighting; tells the attempt it belongs to.
    pub fn sighting(&mut self, node: NodeId, sighting: Sighting) -> Option<AttemptKey> {
        let Sighting {
            time,
            netns,
            ifindex,
            at,
            packet,
            folded: _,
        } = sighting;
        let netns = Netns { node, cookie: netns };
        if matches!(at, Where::Dropped(_)) && !self.nodes.is_own(netns) {
            return None;
        }
        match packet {
            Packet::First { key, to } => {
                let key = self.name_of(key);
                self.forward(key, time, netns, ifindex, at, to);
                Some(key)
            }
            Packet::Datagram { key, to } => {
                // Towards a socket that asked its sender: an answer, and no attempt of its own.
                let answered = self.datagrams.answered(key.source, to);
                if let Some(asked) = answered {
                    self.back(asked, time, netns, ifindex, &at, AnswerSeen::Datagram);
                }
                let named = self.name_of(key);
                if answered.is_none() {
                    if named == key {
                        self.datagrams.asked(key, to);
                    }
                    self.forward(named, time, netns, ifindex, at, to);
                }
                Some(answered.unwrap_or(named))
            }
            Packet::Answer { kind, to, from: _ } => {
                let to = self.name_of(to);
                self.traces.contains_key(&to).then(|| {
                    self.back(to, time, netns, ifindex, &at, AnswerSeen::Tcp(kind));
                    to
                })
            }
            Packet::Error { about, code } => {
                let about = self.name_of(about);
                self.traces.contains_key(&about).then(|| {
                    self.back(about, time, netns, ifindex, &at, AnswerSeen::Unreachable(code));
                    about
                })
            }
            Packet::Other => None,
        }
    }

    fn forward(
        &mut self,
        key: AttemptKey,
        time: KernelTime,
        netns: Netns,
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
        netns: Netns,
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

    /// What became of an attempt, as far as it can be told now.
    #[must_use]
    pub fn outcome(&self, key: &AttemptKey, window: Window) -> Outcome {
        let nothing = Trace::default();
        let trace = self.traces.get(key).unwrap_or(&nothing);
        trace.outcome(key.protocol, window, &self.nodes, self.patience)
    }

    /// The nodes, as their sensors tell.
    #[must_use]
    pub const fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// How many attempts are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.traces.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }

    /// Lets go of an attempt that has been judged.
    pub fn forget(&mut self, key: &AttemptKey) {
        self.traces.remove(key);
        let number = (key.protocol, key.discriminator);
        if self.ours.get(&number) == Some(key) {
            self.ours.remove(&number);
        }
        if let Some(carrier) = self.carriers.remove(key) {
            self.ours.remove(&carrier);
        }
        if key.protocol == Protocol::Udp {
            self.datagrams.forget(key);
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_rewritten;
