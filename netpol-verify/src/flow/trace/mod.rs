//! All that was seen of one attempt, and what follows from it.

mod proof;

use std::net::SocketAddr;

use proof::{blind, unproven};

use super::{
    node::Nodes,
    outcome::{DropPlace, Outcome, Rejection, Reply, UnknownCause},
    tracker::Patience,
};
use crate::{
    net::{Ifindex, KernelTime, Netns, Protocol},
    observe::{AnswerKind, DropClass, Dropped},
};

/// A packet that was dropped, and when.
#[derive(Clone, Debug)]
struct DropSighting {
    time: KernelTime,
    place: DropPlace,
}

/// All that was seen of one attempt. Order of arrival does not matter, only the kernels' times do: each sighting's is its
/// node's, and becomes the verifier's when the trace is asked.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    sent: Vec<(KernelTime, Netns)>,
    delivered: Vec<(KernelTime, Netns, SocketAddr)>,
    drops: Vec<DropSighting>,
    replies_sent: Vec<(KernelTime, Netns)>,
    replies_delivered: Vec<(KernelTime, Netns, AnswerSeen)>,
    reply_drops: Vec<DropSighting>,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerSeen {
    Tcp(AnswerKind),
    Datagram,
    Unreachable(u8),
}

/// The question put to a trace: between which namespaces, since when, on the verifier's clock.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The source pod's namespace.
    pub source: Netns,
    /// The destination pod's namespace; `None` when it is no pod that is watched.
    pub destination: Option<Netns>,
    /// When the attempt was made, at the latest moment before its first packet.
    pub started: KernelTime,
}

impl Trace {
    pub(super) fn add_sent(&mut self, time: KernelTime, netns: Netns) {
        self.sent.push((time, netns));
    }

    pub(super) fn add_delivered(&mut self, time: KernelTime, netns: Netns, to: SocketAddr) {
        self.delivered.push((time, netns, to));
    }

    pub(super) fn add_drop(&mut self, time: KernelTime, netns: Netns, ifindex: Ifindex, dropped: Dropped) {
        self.drops.push(DropSighting {
            time,
            place: place(netns, ifindex, dropped),
        });
    }

    pub(super) fn add_reply_sent(&mut self, time: KernelTime, netns: Netns) {
        self.replies_sent.push((time, netns));
    }

    pub(super) fn add_reply_delivered(&mut self, time: KernelTime, netns: Netns, seen: AnswerSeen) {
        self.replies_delivered.push((time, netns, seen));
    }

    pub(super) fn add_reply_drop(
        &mut self,
        time: KernelTime,
        netns: Netns,
        ifindex: Ifindex,
        dropped: Dropped,
    ) {
        self.reply_drops.push(DropSighting {
            time,
            place: place(netns, ifindex, dropped),
        });
    }

    /// How many packets of the attempt left the source.
    #[must_use]
    pub fn sent_count(&self, source: Netns) -> usize {
        self.sent.iter().filter(|(_, netns)| *netns == source).count()
    }

    /// Where packets of the attempt arrived, and at which address and port.
    pub fn deliveries(&self) -> impl Iterator<Item = (Netns, SocketAddr)> + '_ {
        self.delivered.iter().map(|(_, netns, to)| (*netns, *to))
    }

    /// Whether an answer that accepts came back to the source, from whomever.
    #[must_use]
    pub fn is_accepted(&self, source: Netns) -> bool {
        self.replies_delivered
            .iter()
            .any(|(_, netns, seen)| *netns == source && !seen.is_refusal())
    }

    /// When the last packet that was seen of it was seen, on the verifier's clock.
    #[must_use]
    pub fn last_seen(&self, nodes: &Nodes) -> Option<KernelTime> {
        let sent = self.sent.iter().map(|(time, netns)| nodes.when(*netns, *time));
        let delivered = self
            .delivered
            .iter()
            .map(|(time, netns, _)| nodes.when(*netns, *time));
        let drops = self
            .drops
            .iter()
            .chain(&self.reply_drops)
            .map(|drop| drop.when(nodes));
        let replies = self
            .replies_sent
            .iter()
            .map(|(time, netns)| nodes.when(*netns, *time));
        let back = self
            .replies_delivered
            .iter()
            .map(|(time, netns, _)| nodes.when(*netns, *time));
        sent.chain(delivered)
            .chain(drops)
            .chain(replies)
            .chain(back)
            .max()
    }

    /// Where the first packet was dropped, in whatever class, for the text of a verdict.
    #[must_use]
    pub fn first_drop(&self, nodes: &Nodes) -> Option<&DropPlace> {
        self.drops
            .iter()
            .min_by_key(|drop| drop.when(nodes))
            .map(|drop| &drop.place)
    }

    /// Whether the first packet is known to be dropped, so that a retransmission may tell more.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.network_drops().next().is_some()
    }

    /// Drops on the way. A frame that a bridge flooded to other pods is freed there: that is no drop of the attempt,
    /// and neither is the end of a packet that nobody in the pod listens for. A packet that is freed before it is on a
    /// device has not left its node: where two nodes share a kernel, only the sender's sensor speaks of it.
    fn network_drops(&self) -> impl Iterator<Item = &DropSighting> {
        self.drops.iter().filter(|drop| {
            let netns = drop.place.netns;
            drop.place.class != DropClass::Endpoint
                && (!netns.is_unknown() || self.sent.iter().any(|(_, from)| from.node == netns.node))
        })
    }

    /// What became of the attempt, as far as it can be told now; `Unknown{Pending}` while a later sighting may change it.
    #[must_use]
    pub fn outcome(&self, protocol: Protocol, window: Window, nodes: &Nodes, patience: Patience) -> Outcome {
        if let Some(place) = self.stopped_inside(window, nodes) {
            return Outcome::Dropped { place: place.clone() };
        }
        let delivered = self
            .delivered
            .iter()
            .filter(|(_, netns, _)| window.destination.is_none_or(|destination| destination == *netns))
            .map(|(time, netns, _)| nodes.when(*netns, *time))
            .min();
        if let Some(delivered) = delivered {
            return self.after_delivery(protocol, delivered, window, nodes, patience);
        }
        let sent = self.sent_count(window.source);
        // Each packet's end was seen: then none can have been delivered unseen.
        let stopped = self
            .deciding_drop(nodes)
            .filter(|_| sent > 0 && self.network_drops().count() >= sent);
        if let Some((time, answered)) = self.answer(window.source, nodes) {
            // An enforcer's reject; a router that lost its way to the pod answers too, and that waits for proof.
            let by_policy = stopped.is_some_and(|place| place.class == DropClass::Policy);
            if by_policy && matches!(answered, Outcome::Rejected { .. }) {
                return answered;
            }
            // Patience, because the news that a pod's interface went may be on its way.
            return match unproven(window, time.plus(patience.reply), nodes) {
                None => answered,
                Some(why) => Outcome::Unknown { why },
            };
        }
        if let Some(place) = stopped {
            return Outcome::Dropped { place: place.clone() };
        }
        self.after_silence(sent, window, nodes, patience)
    }

    fn after_delivery(
        &self,
        protocol: Protocol,
        delivered: KernelTime,
        window: Window,
        nodes: &Nodes,
        patience: Patience,
    ) -> Outcome {
        let only_retransmission = self.sent_count(window.source) > 1
            && self.network_drops().any(|drop| drop.when(nodes) < delivered);
        let done = |reply| Outcome::Delivered {
            reply,
            only_retransmission,
        };
        if self
            .replies_delivered
            .iter()
            .any(|(_, netns, _)| *netns == window.source)
        {
            return done(Reply::Returned);
        }
        if let Some(drop) = self
            .reply_drops
            .iter()
            .filter(|drop| drop.place.class != DropClass::Endpoint)
            .min_by_key(|drop| drop.when(nodes))
        {
            return done(Reply::Lost {
                place: Some(drop.place.clone()),
            });
        }
        let replied = self
            .replies_sent
            .iter()
            .map(|(time, netns)| nodes.when(*netns, *time))
            .min();
        let from = replied.unwrap_or(delivered);
        // A datagram needs no answer, and none that comes later changes that it was delivered.
        if replied.is_none() && protocol == Protocol::Udp && nodes.proves(window.source.node, delivered) {
            return done(Reply::NoneSeen);
        }
        let until = from.plus(patience.reply);
        if !nodes.proves(window.source.node, until) {
            return Outcome::Unknown {
                why: UnknownCause::Pending,
            };
        }
        if replied.is_none() {
            return done(Reply::NoneSeen);
        }
        // The reply was sent and not seen again: a loss only if the source would have shown it.
        blind(&[window.source], window, until, nodes).map_or_else(
            || done(Reply::Lost { place: None }),
            |why| Outcome::Unknown { why },
        )
    }

    fn after_silence(&self, sent: usize, window: Window, nodes: &Nodes, patience: Patience) -> Outcome {
        let last = self
            .sent
            .iter()
            .map(|(time, netns)| nodes.when(*netns, *time))
            .max()
            .unwrap_or(window.started);
        let until = last.plus(patience.silence);
        if let Some(why) = unproven(window, until, nodes) {
            return Outcome::Unknown { why };
        }
        if sent == 0 {
            return Outcome::Unknown {
                why: UnknownCause::NotSent {
                    place: self.first_drop(nodes).cloned(),
                },
            };
        }
        // Fewer drops than packets: one drop was seen, the rest fell silently.
        self.deciding_drop(nodes)
            .map_or(Outcome::Unanswered, |place| Outcome::Dropped {
                place: place.clone(),
            })
    }

    /// An enforcer may work inside the destination pod's own namespace, behind the head of its interface (netkit,
    /// netfilter in the pod): then every packet that arrived was dropped there.
    fn stopped_inside(&self, window: Window, nodes: &Nodes) -> Option<&DropPlace> {
        let destination = window.destination?;
        let arrived = self
            .delivered
            .iter()
            .filter(|(_, netns, _)| *netns == destination)
            .count();
        let stopped = || {
            self.network_drops()
                .filter(|drop| drop.place.class == DropClass::Policy && drop.place.netns == destination)
        };
        if arrived == 0 || stopped().count() < arrived {
            return None;
        }
        stopped()
            .min_by_key(|drop| drop.when(nodes))
            .map(|drop| &drop.place)
    }

    /// The drop that a verdict names: an enforcer's before any other, the earliest of them.
    fn deciding_drop(&self, nodes: &Nodes) -> Option<&DropPlace> {
        self.network_drops()
            .min_by_key(|drop| (drop.place.class != DropClass::Policy, drop.when(nodes)))
            .map(|drop| &drop.place)
    }

    /// What came back to the source, though the destination pod was not seen to get the attempt: so the pod did not send
    /// it, if its sensor saw everything.
    fn answer(&self, source: Netns, nodes: &Nodes) -> Option<(KernelTime, Outcome)> {
        let (time, _, seen) = self
            .replies_delivered
            .iter()
            .filter(|(_, netns, _)| *netns == source)
            // Where one accepted, no refusal before or after it says that the attempt failed.
            .min_by_key(|(time, _, seen)| (seen.is_refusal(), *time))?;
        let outcome = match seen {
            AnswerSeen::Tcp(AnswerKind::Refuse) => Outcome::Rejected {
                by: Rejection::TcpReset,
            },
            AnswerSeen::Unreachable(code) => Outcome::Rejected {
                by: Rejection::Unreachable { code: *code },
            },
            AnswerSeen::Tcp(AnswerKind::Accept) | AnswerSeen::Datagram => Outcome::Unknown {
                why: UnknownCause::AnsweredByAnother,
            },
        };
        Some((nodes.when(source, *time), outcome))
    }
}

impl DropSighting {
    /// When, on the verifier's clock.
    fn when(&self, nodes: &Nodes) -> KernelTime {
        nodes.when(self.place.netns, self.time)
    }
}

impl AnswerSeen {
    const fn is_refusal(self) -> bool {
        matches!(self, Self::Tcp(AnswerKind::Refuse) | Self::Unreachable(_))
    }
}

fn place(netns: Netns, ifindex: Ifindex, dropped: Dropped) -> DropPlace {
    DropPlace {
        netns,
        ifindex,
        reason: dropped.reason,
        location: dropped.location,
        class: dropped.class,
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_random;
