//! What all sensors say, taken in: each node's records decoded by its own kernel's names, joined, and its interfaces kept.

use std::collections::{BTreeMap, HashMap};

use crate::{
    bus::{Message, NodeName, SensorFacts, WatchedInterface},
    flow::{Patience, Tracker},
    kernel::DropReasons,
    net::{AttemptKey, Ifindex, KernelTime, Netns, NetnsCookie, NodeId},
    observe::{Decoder, Sighting, Where},
};

/// Listens to sensors on behalf of one verifier.
pub struct Ears {
    tracker: Tracker,
    nodes: BTreeMap<NodeName, Voice>,
    /// Records that could not be decoded.
    damaged: u64,
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
        }
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
            self.introduce(&origin.node, origin.session, &facts.facts);
            self.tracker.facts(facts);
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
                voice.hear(&announcement.interface);
                self.tracker.announce(announcement);
            }
            Message::Roster(roster) => {
                voice.interfaces.clear();
                roster.interfaces.iter().for_each(|one| voice.hear(one));
                self.tracker.roster(roster);
            }
            Message::Batch(batch) => {
                voice.decoder.learn(&batch.functions);
                for sighting in voice.decoder.batch(&batch.records) {
                    match sighting {
                        Ok(sighting) => {
                            let left = departure(&sighting);
                            let source = Netns {
                                node: voice.id,
                                cookie: sighting.netns,
                            };
                            let time = sighting.time;
                            let key = self.tracker.sighting(voice.id, sighting);
                            if let Some((found, to)) = left
                                && key == Some(found)
                            {
                                departed(Departure {
                                    key: found,
                                    source,
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
    pub fn introduce(&mut self, node: &NodeName, session: u64, facts: &SensorFacts) {
        let id = self.tracker.node(node);
        let mut decoder = Decoder::new(DropReasons::from(facts.drop_reasons.clone()));
        decoder.learn(&facts.functions);
        let kept = self
            .nodes
            .remove(node)
            .filter(|voice| voice.session == session)
            .map(|voice| voice.interfaces);
        let voice = Voice {
            id,
            session,
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

    /// The join, to let go of what was judged.
    pub const fn tracker_mut(&mut self) -> &mut Tracker {
        &mut self.tracker
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

/// A first packet that leaves a pod, and whom it is for.
fn departure(sighting: &Sighting) -> Option<(AttemptKey, std::net::SocketAddr)> {
    use crate::observe::Packet;
    match (&sighting.at, &sighting.packet) {
        (Where::Sent, Packet::First { key, to } | Packet::Datagram { key, to }) => Some((*key, *to)),
        _ => None,
    }
}
