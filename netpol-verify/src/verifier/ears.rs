//! What all sensors say, taken in: each node's records decoded by its own kernel's names, joined, and its interfaces kept.

use std::collections::{BTreeMap, HashMap};

use super::{
    folds::{Folds, Like},
    share::Share,
};
use crate::{
    bus::{Message, NodeFacts, NodeName, Origin, SensorFacts, WatchedInterface},
    flow::{Patience, Tracker},
    kernel::DropReasons,
    net::{AttemptKey, Ifindex, KernelTime, Netns, NetnsCookie, NodeId, Protocol},
    observe::{Decoder, Packet, Sighting, Where},
};

/// Listens to sensors on behalf of one verifier.
pub struct Ears {
    tracker: Tracker,
    nodes: BTreeMap<NodeName, Voice>,
    /// Records that could not be decoded.
    damaged: u64,
    share: Share,
    folds: Folds,
    /// Rises with each word about interfaces.
    revision: u64,
}

/// One node's sensor, as far as it has introduced itself.
struct Voice {
    id: NodeId,
    session: u64,
    facts: SensorFacts,
    decoder: Decoder,
    interfaces: HashMap<(NetnsCookie, Ifindex), WatchedInterface>,
}

/// A first packet that was seen leaving a pod.
#[derive(Clone, Debug)]
pub struct Departure {
    /// The attempt.
    pub key: AttemptKey,
    /// The pod's namespace.
    pub source: Netns,
    /// When, on the node's clock.
    pub seen: KernelTime,
    /// When, on the verifier's clock; `None` while the node's is not known.
    pub at: Option<KernelTime>,
    /// Whom it was for, as it left.
    pub to: std::net::SocketAddr,
}

/// Whether a message could be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was.
    Yes,
    /// The node has not introduced itself: without its kernel's names its records cannot be read. Ask for its facts.
    Stranger(NodeName),
}

impl Ears {
    /// Ears of a verifier that calls itself by `name`; `None` where the sensor is in this process and its clock ours.
    #[must_use]
    pub fn new(patience: Patience, name: Option<&str>) -> Self {
        Self {
            tracker: name.map_or_else(
                || Tracker::new(patience),
                |name| Tracker::of_cluster(patience, name),
            ),
            nodes: BTreeMap::new(),
            damaged: 0,
            share: Share::ALL,
            folds: Folds::default(),
            revision: 0,
        }
    }

    /// Looks only at a share of the attempts, and at no more than so many at once.
    #[must_use]
    pub fn bounded(mut self, share: Share, kept: usize) -> Self {
        self.share = share;
        self.tracker = self.tracker.keeping(kept);
        self
    }

    /// Takes a message that came at a moment; `departed` is told of first packets that leave pods.
    pub fn take(
        &mut self,
        message: &Message,
        arrived: KernelTime,
        mut departed: impl FnMut(Departure),
    ) -> Taken {
        let origin = message.origin();
        if let Message::Node(facts) = message {
            self.introduce(facts);
            return Taken::Yes;
        }
        let Some(voice) = self
            .nodes
            .get_mut(&origin.node)
            .filter(|voice| voice.session == origin.session)
        else {
            return Taken::Stranger(origin.node.clone());
        };
        match message {
            Message::Node(_) => {}
            Message::Announcement(announcement) => {
                self.revision += 1;
                voice.hear(&announcement.interface);
                self.tracker.announce(announcement);
            }
            Message::Roster(roster) => {
                self.revision += 1;
                voice.interfaces.clear();
                roster.interfaces.iter().for_each(|one| voice.hear(one));
                self.tracker.roster(roster);
            }
            Message::Batch(batch) => {
                voice.decoder.learn(&batch.functions);
                for sighting in voice.decoder.batch(&batch.records) {
                    match sighting {
                        Ok(sighting) => {
                            self.folds.note(voice.id, &sighting);
                            if !is_of(self.share, &sighting.packet) {
                                continue;
                            }
                            let left = departure(&sighting);
                            let source = Netns {
                                node: voice.id,
                                cookie: sighting.netns,
                            };
                            let time = sighting.time;
                            let key = self.tracker.sighting(voice.id, sighting);
                            if let Some((found, to)) = left
                                && key == Some(found)
                                && self.share.holds(&found)
                            {
                                departed(Departure {
                                    key: found,
                                    source,
                                    seen: time,
                                    at: self.tracker.nodes().get(voice.id).clock().on_ours(time),
                                    to,
                                });
                            }
                        }
                        Err(damage) => {
                            self.damaged += 1;
                            self.tracker.damage(voice.id, 1);
                            tracing::warn!(node = %origin.node, %damage, "A record could not be decoded.");
                        }
                    }
                }
                self.tracker.batch(batch, arrived);
            }
        }
        Taken::Yes
    }

    /// Takes what a node is, by whichever way it was told.
    pub fn introduce(&mut self, told: &NodeFacts) {
        self.revision += 1;
        // Its own namespace too: drops in others' are none of its.
        self.tracker.facts(told);
        let NodeFacts {
            origin: Origin { node, session },
            facts,
        } = told;
        let id = self.tracker.node(node);
        let mut decoder = Decoder::new(DropReasons::from(facts.drop_reasons.clone()));
        decoder.learn(&facts.functions);
        let kept = self
            .nodes
            .remove(node)
            .filter(|voice| voice.session == *session)
            .map(|voice| voice.interfaces);
        let voice = Voice {
            id,
            session: *session,
            facts: facts.clone(),
            decoder,
            interfaces: kept.unwrap_or_default(),
        };
        self.nodes.insert(node.clone(), voice);
    }

    /// The join.
    #[must_use]
    pub const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// The join, to be told of probes and to let go of what was judged.
    pub const fn tracker_mut(&mut self) -> &mut Tracker {
        &mut self.tracker
    }

    /// Changes whenever something was said of interfaces or nodes.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether such a packet may have arrived at a namespace between two moments of ours and left no record, because another
    /// one had just left one.
    #[must_use]
    pub fn may_have_folded(&self, netns: Netns, like: Like, since: KernelTime, until: KernelTime) -> bool {
        let clock = self.tracker.nodes().get(netns.node).clock();
        match (clock.earliest(since), clock.latest(until)) {
            (Some(since), Some(until)) => self.folds.may_hide(netns, like, since, until),
            _ => true,
        }
    }

    /// Lets go of what no attempt that is still open can ask for.
    pub fn tidy(&mut self) {
        let nodes = self.tracker.nodes();
        self.folds.forget(|node| nodes.get(node).proven());
    }

    /// Records that could not be decoded.
    #[must_use]
    pub const fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Every node that has introduced itself, and what it is.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeName, NodeId, &SensorFacts)> {
        self.nodes
            .iter()
            .map(|(name, voice)| (name, voice.id, &voice.facts))
    }

    /// A node's name.
    #[must_use]
    pub fn name(&self, id: NodeId) -> Option<&NodeName> {
        self.nodes
            .iter()
            .find(|(_, voice)| voice.id == id)
            .map(|(name, _)| name)
    }

    /// Every interface that sensors have told of and that has not gone.
    pub fn interfaces(&self) -> impl Iterator<Item = (NodeId, &NodeName, &WatchedInterface)> {
        self.nodes.iter().flat_map(|(name, voice)| {
            voice
                .interfaces
                .values()
                .map(move |interface| (voice.id, name, interface))
        })
    }
}

impl Voice {
    fn hear(&mut self, interface: &WatchedInterface) {
        let key = (interface.netns, interface.ifindex);
        if matches!(interface.state, crate::bus::InterfaceState::Gone { .. }) {
            self.interfaces.remove(&key);
        } else {
            self.interfaces.insert(key, interface.clone());
        }
    }
}

/// Whether a packet is part of an attempt in a share. Datagrams are all looked at: which one answers which is only known
/// where all are.
fn is_of(share: Share, packet: &Packet) -> bool {
    match packet {
        Packet::First { key, .. } | Packet::Answer { to: key, .. } | Packet::Error { about: key, .. } => {
            key.protocol == Protocol::Udp || share.holds(key)
        }
        Packet::Datagram { .. } | Packet::Other => true,
    }
}

/// A first packet that leaves a pod, and whom it is for.
fn departure(sighting: &Sighting) -> Option<(AttemptKey, std::net::SocketAddr)> {
    match (&sighting.at, &sighting.packet) {
        (Where::Sent, Packet::First { key, to } | Packet::Datagram { key, to }) => Some((*key, *to)),
        _ => None,
    }
}
