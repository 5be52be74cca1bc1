//! A probe of our own in flight: when it is sent again, and when what became of it is final. Time is an argument.

use std::time::Duration;

use super::outcome::{Outcome, Reply, UnknownCause};
use crate::net::KernelTime;

/// When nothing was seen of a packet, the same packet again: TCP's own first retransmission (RFC 6298, 2.1).
const RETRANSMIT_AFTER: Duration = Duration::from_secs(1);
/// A dropped packet is sent again so often: each node on the way may drop the first that it sees of a tuple and let the
/// next one pass.
const TRANSMISSIONS: u32 = 3;
/// What is seen of a packet later than this after it was sent is an answer on its way, not the packet itself.
const AT_ONCE: Duration = Duration::from_millis(100);

/// A probe in flight.
#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    /// Before its first packet was sent.
    pub started: KernelTime,
    last_sent: KernelTime,
    sends: u32,
    /// When the first drop was seen: the verdict, unless a retransmission overturns it.
    dropped: Option<KernelTime>,
    give_up: Duration,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send the same packet again.
    Send,
    /// Look again later.
    Wait,
    /// It is final, and has been certain since then; never, where it cannot be told.
    Done(Option<KernelTime>),
}

impl InFlight {
    /// A probe that is about to be sent, waited for no longer than `give_up`.
    #[must_use]
    pub const fn new(now: KernelTime, give_up: Duration) -> Self {
        Self {
            started: now,
            last_sent: now,
            sends: 0,
            dropped: None,
            give_up,
        }
    }

    /// Its packet is sent, for the first time or again.
    pub const fn sent(&mut self, now: KernelTime) {
        self.sends += 1;
        self.last_sent = now;
    }

    /// What to do, by what became of it as far as that can be told now. A dropped packet is sent again at once: an enforcer
    /// that lets the retransmission pass enforces nothing (antrea-io/antrea#219).
    pub fn next(&mut self, outcome: &Outcome, last_seen: Option<KernelTime>, now: KernelTime) -> Next {
        if matches!(outcome, Outcome::Dropped { .. }) && self.sends < TRANSMISSIONS {
            self.dropped.get_or_insert(now);
            return Next::Send;
        }
        // An answer that was lost once is what every client gets over: nft drops one where its sets are replaced under it.
        if is_answer_dropped(outcome) && self.sends < TRANSMISSIONS {
            return Next::Send;
        }
        let is_pending = matches!(
            outcome,
            Outcome::Unknown {
                why: UnknownCause::Pending
            }
        );
        // Silence is final only after the retransmission.
        let is_early = self.sends == 1
            && matches!(
                outcome,
                Outcome::Unanswered
                    | Outcome::Unknown {
                        why: UnknownCause::NotSent { .. }
                    }
            );
        if (is_pending || is_early) && now.since(self.started) < self.give_up {
            let is_silent = last_seen.is_none_or(|seen| seen <= self.last_sent.plus(AT_ONCE));
            let is_due = self.sends == 1 && now.since(self.last_sent) >= RETRANSMIT_AFTER;
            return if is_silent && is_due {
                Next::Send
            } else {
                Next::Wait
            };
        }
        Next::Done(match (outcome, self.dropped) {
            (Outcome::Unknown { .. }, _) => None,
            (Outcome::Dropped { .. }, Some(dropped)) => Some(dropped),
            _ => Some(now),
        })
    }
}

fn is_answer_dropped(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Delivered {
            reply: Reply::Lost { place: Some(_) },
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{InFlight, Next};
    use crate::{
        flow::{DropPlace, Outcome, Reply, UnknownCause},
        net::{Ifindex, KernelTime, Netns},
        observe::DropClass,
    };

    const SECOND: u64 = 1_000_000_000;
    const PENDING: Outcome = Outcome::Unknown {
        why: UnknownCause::Pending,
    };

    fn sent() -> InFlight {
        let mut probe = InFlight::new(KernelTime(SECOND), Duration::from_secs(5));
        probe.sent(KernelTime(SECOND));
        probe
    }

    fn by_policy() -> DropPlace {
        DropPlace {
            netns: Netns::default(),
            ifindex: Ifindex(1),
            reason: "NETFILTER_DROP".to_owned(),
            location: None,
            class: DropClass::Policy,
        }
    }

    fn dropped() -> Outcome {
        Outcome::Dropped { place: by_policy() }
    }

    #[test]
    fn a_drop_is_confirmed_twice_and_dated_by_the_first() {
        let mut probe = sent();
        for later in [1, 2] {
            let now = KernelTime(SECOND + later);
            assert_eq!(probe.next(&dropped(), None, now), Next::Send);
            probe.sent(now);
        }
        let done = probe.next(&dropped(), None, KernelTime(SECOND + 3));
        assert_eq!(done, Next::Done(Some(KernelTime(SECOND + 1))));
    }

    #[test]
    fn an_answer_that_was_dropped_is_asked_for_twice_more() {
        let lost = Outcome::Delivered {
            reply: Reply::Lost {
                place: Some(by_policy()),
            },
            only_retransmission: false,
        };
        let mut probe = sent();
        for later in [1, 2] {
            let now = KernelTime(SECOND + later);
            assert_eq!(probe.next(&lost, None, now), Next::Send);
            probe.sent(now);
        }
        let last = KernelTime(SECOND + 3);
        assert_eq!(probe.next(&lost, None, last), Next::Done(Some(last)));
    }

    #[test]
    fn silence_is_broken_once_and_then_final() {
        let mut probe = sent();
        let early = KernelTime(SECOND + SECOND / 2);
        assert_eq!(probe.next(&Outcome::Unanswered, None, early), Next::Wait);
        let due = KernelTime(2 * SECOND);
        assert_eq!(
            probe.next(&Outcome::Unanswered, Some(KernelTime(SECOND + 5)), due),
            Next::Send
        );
        probe.sent(due);
        assert_eq!(probe.next(&PENDING, None, due), Next::Wait);
        let late = KernelTime(3 * SECOND);
        assert_eq!(
            probe.next(&Outcome::Unanswered, None, late),
            Next::Done(Some(late))
        );
    }

    #[test]
    fn an_answer_on_its_way_is_waited_for_and_the_unknown_given_up() {
        let mut probe = sent();
        let seen_late = Some(KernelTime(SECOND + SECOND / 2));
        assert_eq!(
            probe.next(&PENDING, seen_late, KernelTime(3 * SECOND)),
            Next::Wait
        );
        assert_eq!(
            probe.next(&PENDING, None, KernelTime(6 * SECOND)),
            Next::Done(None)
        );
        let delivered = Outcome::Delivered {
            reply: Reply::Returned,
            only_retransmission: false,
        };
        let now = KernelTime(SECOND + 9);
        assert_eq!(probe.next(&delivered, None, now), Next::Done(Some(now)));
    }
}
