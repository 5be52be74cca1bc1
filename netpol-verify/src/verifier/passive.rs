//! Everybody's traffic: each first packet that leaves a pod waits until what became of it is certain, and is judged.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use super::{
    appraisal::{Appraiser, Look},
    ears::{Departure, Ears},
    world::World,
};
use crate::{
    finding::{Code, JudgedAttempt},
    net::{AttemptKey, KernelTime},
};

/// How an attempt is waited for, and how much may wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a change may take until it is enforced.
    pub settle: Duration,
    /// How long what became of an attempt may stay uncertain.
    pub wait: Duration,
    /// Attempts that may wait at once; more are counted and not judged.
    pub pending: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(5),
            wait: Duration::from_secs(10),
            pending: 1 << 18,
        }
    }
}

/// An attempt that was judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// When its first packet left, on the verifier's clock.
    pub at: KernelTime,
    /// What it is a finding of, if of anything.
    pub code: Option<Code>,
    /// What there is to say.
    pub attempt: JudgedAttempt,
}

/// Attempts that were not judged, by why not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotJudged {
    /// Too many waited.
    pub overflow: u64,
    /// Nothing was listed yet.
    pub not_ready: u64,
    /// The namespace that they left is no known pod's.
    pub no_pod: u64,
    /// A record of a like packet may hide what became of them.
    pub folded: u64,
    /// Multicast, or the link's own: no policy speaks of it.
    pub unaddressed: u64,
}

/// An attempt that waits.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) departure: Departure,
    pub(super) arrived: KernelTime,
    pub(super) deadline: KernelTime,
}

/// The attempts that wait to be judged.
#[derive(Debug)]
pub struct Passive {
    limits: Limits,
    /// By when they are looked at next.
    waiting: BTreeMap<(KernelTime, u64), Pending>,
    known: HashSet<AttemptKey>,
    next: u64,
    not_judged: NotJudged,
}

/// The first look is worth it at once, for a delivery is told within microseconds; what takes longer is looked at less often.
const SOONEST: Duration = Duration::from_millis(100);
const LATEST: Duration = Duration::from_secs(1);

impl Passive {
    /// Nothing waits yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: BTreeMap::new(),
            known: HashSet::new(),
            next: 0,
            not_judged: NotJudged::default(),
        }
    }

    /// Takes a first packet that left a pod.
    pub fn depart(&mut self, departure: Departure, now: KernelTime) {
        // A retransmission belongs to the attempt that waits already.
        if self.known.contains(&departure.key) {
            return;
        }
        if self.waiting.len() >= self.limits.pending {
            self.not_judged.overflow += 1;
            return;
        }
        self.known.insert(departure.key);
        let pending = Pending {
            departure,
            arrived: now,
            deadline: now.plus(self.limits.wait),
        };
        self.put(now, pending);
    }

    fn put(&mut self, when: KernelTime, pending: Pending) {
        self.next += 1;
        self.waiting.insert((when, self.next), pending);
    }

    /// Judges what has become certain, and what has waited too long.
    pub fn pass(&mut self, ears: &mut Ears, world: &World, now: KernelTime, mut judged: impl FnMut(Judged)) {
        let appraiser = Appraiser::new(world, self.limits, now);
        let due = self.waiting.split_off(&(KernelTime(now.0.saturating_add(1)), 0));
        let due = std::mem::replace(&mut self.waiting, due);
        for pending in due.into_values() {
            let key = pending.departure.key;
            match appraiser.look(ears, &pending) {
                Look::Wait => {
                    let waited = now.since(pending.arrived) / 2;
                    let next = now.plus(waited.clamp(SOONEST, LATEST)).min(
                        // The last look is at the deadline.
                        pending.deadline.max(now.plus(SOONEST)),
                    );
                    self.put(next, pending);
                    continue;
                }
                Look::Judged(one) => judged(*one),
                Look::Nothing(why) => why.count(&mut self.not_judged),
            }
            self.known.remove(&key);
            ears.tracker_mut().forget(&key);
        }
    }

    /// How many wait.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.waiting.len()
    }

    /// How many were not judged.
    #[must_use]
    pub const fn not_judged(&self) -> NotJudged {
        self.not_judged
    }
}
