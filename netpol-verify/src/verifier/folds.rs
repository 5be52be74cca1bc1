//! What folding may have hidden: a passive sensor writes one record a second for packets that differ in their source port
//! only, and each vantage point has its own second. What one of them wrote, another may have folded.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
};

use crate::{
    net::{KernelTime, Netns, NodeId, Protocol},
    observe::{Packet, Sighting, Where},
};

/// A sensor folds for a second ([`crate::sensor::Mode`]); the rest is for how long a packet takes.
const WINDOW: u64 = 1_250_000_000;
/// Records that are remembered for each pair.
const KEPT: usize = 16;
/// No attempt is waited for longer.
const AGE: u64 = 30_000_000_000;
/// Pairs that are remembered; beyond them nothing that was not seen is believed.
const PAIRS: usize = 1 << 18;

/// What the programs take for alike, besides what kind of packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Like {
    /// The protocol.
    pub protocol: Protocol,
    /// Who sent it, as it says.
    pub from: IpAddr,
    /// Whom it is for, as seen there.
    pub to: IpAddr,
    /// The port that names the service.
    pub service: u16,
}

impl Like {
    /// A first packet between two ends.
    #[must_use]
    pub fn first(protocol: Protocol, from: SocketAddr, to: SocketAddr) -> Self {
        Self {
            protocol,
            from: from.ip().to_canonical(),
            to: to.ip().to_canonical(),
            service: match protocol {
                // Of datagrams nobody knows which is the answer.
                Protocol::Udp => from.port().min(to.port()),
                Protocol::Tcp | Protocol::Sctp => to.port(),
            },
        }
    }

    /// An answer between two ends.
    #[must_use]
    pub fn answer(protocol: Protocol, from: SocketAddr, to: SocketAddr) -> Self {
        Self {
            from: from.ip().to_canonical(),
            to: to.ip().to_canonical(),
            ..Self::first(protocol, to, from)
        }
    }
}

/// When each namespace's interface wrote a record of packets that arrived. Times are the node's.
#[derive(Debug, Default)]
pub(super) struct Folds {
    arrived: HashMap<(Netns, Like), VecDeque<u64>>,
    overflowed: bool,
}

impl Folds {
    pub(super) fn note(&mut self, node: NodeId, sighting: &Sighting) {
        if !matches!(sighting.at, Where::Delivered) {
            return;
        }
        let like = match &sighting.packet {
            Packet::First { key, to } | Packet::Datagram { key, to } => {
                Like::first(key.protocol, key.source, *to)
            }
            Packet::Answer { to, from, .. } => Like::answer(to.protocol, *from, to.source),
            Packet::Error { .. } | Packet::Other => return,
        };
        let netns = Netns {
            node,
            cookie: sighting.netns,
        };
        if self.arrived.len() >= PAIRS && !self.arrived.contains_key(&(netns, like)) {
            self.overflowed = true;
            return;
        }
        let times = self.arrived.entry((netns, like)).or_default();
        if times.len() == KEPT {
            times.pop_front();
        }
        times.push_back(sighting.time.0);
    }

    /// Whether such a packet may have arrived at a namespace between two moments of its node and left no
    /// record, because another one had just left one.
    pub(super) fn may_hide(&self, netns: Netns, like: Like, from: KernelTime, to: KernelTime) -> bool {
        self.overflowed
            || self.arrived.get(&(netns, like)).is_some_and(|times| {
                times
                    .iter()
                    .any(|time| time.saturating_add(WINDOW) >= from.0 && *time <= to.0)
            })
    }

    /// Lets go of what is too old, by each node's time.
    pub(super) fn forget(&mut self, latest: impl Fn(NodeId) -> KernelTime) {
        self.arrived.retain(|(netns, _), times| {
            let old = latest(netns.node).0.saturating_sub(AGE);
            times.back().is_some_and(|time| *time >= old)
        });
        self.overflowed = self.arrived.len() >= PAIRS;
    }
}

#[cfg(test)]
mod tests {
    use super::{Folds, Like};
    use crate::{
        net::{AttemptKey, Ifindex, KernelTime, Netns, NetnsCookie, NodeId, Protocol},
        observe::{Packet, Sighting, Where},
    };

    #[test]
    fn a_record_hides_what_follows_within_a_second_and_nothing_of_others() {
        let mut folds = Folds::default();
        let at = |text: &str| text.parse().unwrap();
        folds.note(
            NodeId(0),
            &Sighting {
                time: KernelTime(5_000_000_000),
                netns: NetnsCookie(7),
                ifindex: Ifindex(2),
                at: Where::Delivered,
                folded: 0,
                packet: Packet::First {
                    key: AttemptKey {
                        protocol: Protocol::Tcp,
                        source: at("10.0.0.1:1000"),
                        discriminator: 1,
                    },
                    to: at("10.0.0.2:80"),
                },
            },
        );
        let netns = Netns {
            node: NodeId(0),
            cookie: NetnsCookie(7),
        };
        let hides = |from: &str, to: &str, start: u64, end: u64| {
            let like = Like::first(Protocol::Tcp, at(from), at(to));
            folds.may_hide(netns, like, KernelTime(start), KernelTime(end))
        };
        let (same, port) = ("10.0.0.1:2000", "10.0.0.2:80");
        assert!(hides(same, port, 5_900_000_000, 6_400_000_000));
        assert!(!hides(same, port, 7_000_000_000, 7_500_000_000));
        assert!(!hides(same, port, 4_000_000_000, 4_500_000_000));
        assert!(!hides("10.0.0.3:2000", port, 5_900_000_000, 6_400_000_000));
        assert!(!hides(same, "10.0.0.2:81", 5_900_000_000, 6_400_000_000));
    }
}
