//! How far a node's clock is from the verifier's: bounds that follow from who said what before whom, and no trust in
//! either machine's wall clock.
//!
//! ```text
//!  verifier  --- called_at ------------------------- arrived --->   its own clock
//!                     \                              /
//!  node      --------- heard_at ------- said_at -----------------> the node's clock
//! ```
//!
//! A call cannot be heard before it is made, and nothing arrives before it is said: the offset lies between
//! `called_at - heard_at` and `arrived - said_at`.

use std::time::Duration;

use crate::net::KernelTime;

/// Monotonic clocks of two machines part by less than this many nanoseconds a second; NTP slews by 500 at most
/// (adjtimex(2)), on either machine.
const DRIFT: i128 = 1_000_000;
const SECOND: i128 = 1_000_000_000;

/// The offset of one node's clock: verifier's time less node's time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeClock {
    /// The verifier's own clock: there is nothing to measure.
    is_ours: bool,
    at_least: Option<i128>,
    at_most: Option<i128>,
    /// The verifier's time when the bounds were last widened for drift.
    as_of: KernelTime,
}

impl NodeClock {
    /// The clock of the verifier's own machine.
    #[must_use]
    pub const fn shared() -> Self {
        Self {
            is_ours: true,
            at_least: Some(0),
            at_most: Some(0),
            as_of: KernelTime(0),
        }
    }

    /// A call of ours was heard.
    pub(super) fn heard(&mut self, called_at: KernelTime, heard_at: KernelTime, now: KernelTime) {
        if self.is_ours {
            return;
        }
        self.widen(now);
        // It held when the call was heard, which is no longer ago than the call itself.
        let since = drift(called_at, now);
        let bound = i128::from(called_at.0) - i128::from(heard_at.0) - since;
        self.at_least = Some(self.at_least.map_or(bound, |known| known.max(bound)));
        self.settle();
    }

    /// What was said at a moment of the node arrived.
    pub(super) fn arrived(&mut self, said_at: KernelTime, now: KernelTime) {
        if self.is_ours {
            return;
        }
        self.widen(now);
        // What the clocks parted by on its way is less than the way, which is in it.
        let bound = i128::from(now.0) - i128::from(said_at.0);
        self.at_most = Some(self.at_most.map_or(bound, |known| known.min(bound)));
        self.settle();
    }

    /// Bounds that cross mean that a clock jumped (a suspended machine): they are measured anew.
    fn settle(&mut self) {
        if let (Some(least), Some(most)) = (self.at_least, self.at_most)
            && least > most
        {
            self.at_least = None;
            self.at_most = None;
        }
    }

    fn widen(&mut self, now: KernelTime) {
        let drift = drift(self.as_of, now);
        self.at_least = self.at_least.map(|bound| bound - drift);
        self.at_most = self.at_most.map(|bound| bound + drift);
        self.as_of = self.as_of.max(now);
    }

    /// The middle of what is possible, and how far off that may be; `None` until a call was heard and answered.
    fn offset(&self) -> Option<(i128, i128)> {
        let (least, most) = (self.at_least?, self.at_most?);
        Some(((least + most) / 2, (most - least + 1) / 2))
    }

    /// A moment of the node on the verifier's clock, as near as it is known.
    #[must_use]
    pub fn on_ours(&self, moment: KernelTime) -> Option<KernelTime> {
        let (offset, _) = self.offset()?;
        Some(shifted(moment, offset))
    }

    /// The earliest that a moment of the verifier may be on the node's clock.
    #[must_use]
    pub fn earliest(&self, moment: KernelTime) -> Option<KernelTime> {
        let (offset, error) = self.offset()?;
        Some(shifted(moment, -offset - error))
    }

    /// The latest that a moment of the verifier may be on the node's clock.
    #[must_use]
    pub fn latest(&self, moment: KernelTime) -> Option<KernelTime> {
        let (offset, error) = self.offset()?;
        Some(shifted(moment, -offset + error))
    }

    /// How far off a conversion may be; `None` while nothing is known.
    #[must_use]
    pub fn error(&self) -> Option<Duration> {
        let (_, error) = self.offset()?;
        Some(Duration::from_nanos(u64::try_from(error).unwrap_or(u64::MAX)))
    }
}

/// How far two clocks may part between two moments.
fn drift(from: KernelTime, to: KernelTime) -> i128 {
    let passed = i128::from(to.0.saturating_sub(from.0));
    (passed * DRIFT + SECOND - 1) / SECOND
}

fn shifted(moment: KernelTime, by: i128) -> KernelTime {
    KernelTime(u64::try_from((i128::from(moment.0) + by).max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::NodeClock;
    use crate::net::KernelTime;

    #[test]
    fn nothing_is_known_before_a_call_was_heard_and_something_arrived() {
        let mut clock = NodeClock::default();
        assert_eq!(clock.on_ours(KernelTime(5)), None);
        clock.arrived(KernelTime(100), KernelTime(1_000));
        assert_eq!(clock.on_ours(KernelTime(5)), None);
        clock.heard(KernelTime(900), KernelTime(80), KernelTime(1_000));
        // Between 820, less a nanosecond of drift since the call, and 900.
        assert_eq!(clock.on_ours(KernelTime(100)), Some(KernelTime(959)));
        assert_eq!(clock.error(), Some(Duration::from_nanos(41)));
        assert_eq!(clock.earliest(KernelTime(960)), Some(KernelTime(60)));
        assert_eq!(clock.latest(KernelTime(960)), Some(KernelTime(142)));
    }

    #[test]
    fn our_own_clock_is_ours_to_the_nanosecond() {
        let mut clock = NodeClock::shared();
        clock.arrived(KernelTime(3), KernelTime(900_000_000_000));
        assert_eq!(clock.earliest(KernelTime(77)), Some(KernelTime(77)));
        assert_eq!(clock.error(), Some(Duration::ZERO));
    }

    #[test]
    fn a_clock_that_jumps_is_measured_anew() {
        let mut clock = NodeClock::default();
        clock.heard(KernelTime(1_000), KernelTime(1_000), KernelTime(1_000));
        clock.arrived(KernelTime(1_000), KernelTime(1_010));
        assert!(clock.error().is_some());
        // The node slept: its monotonic clock stood still while ours went on.
        clock.heard(KernelTime(9_000), KernelTime(1_100), KernelTime(9_000));
        assert_eq!(clock.error(), None);
    }

    proptest! {
        /// Whatever the true offset, the ways through the bus and the drift: the truth stays inside the bounds.
        #[test]
        fn the_true_offset_is_never_outside(
            offset in -1_000_000_000_i64..1_000_000_000_000,
            ways in proptest::collection::vec((0_u64..50_000_000, 0_u64..50_000_000, 0_u64..5_000_000_000), 1..40),
            drift in -800_000_i64..800_000,
        ) {
            let mut clock = NodeClock::default();
            let mut now = 10_000_000_000_u64;
            // The node's clock shows `now - offset`, and parts from ours by `drift` ns a second.
            let node = |now: u64| {
                let drifted = i128::from(now) * i128::from(drift) / 1_000_000_000;
                KernelTime(u64::try_from(i128::from(now) - i128::from(offset) + drifted + 2_000_000_000_000).unwrap())
            };
            for (there, back, pause) in ways {
                let called = KernelTime(now);
                let heard = node(now + there);
                now += there + back;
                clock.heard(called, heard, KernelTime(now));
                clock.arrived(node(now - back), KernelTime(now));
                let said = node(now);
                let (earliest, latest) = (clock.earliest(KernelTime(now)).unwrap(), clock.latest(KernelTime(now)).unwrap());
                prop_assert!(earliest.0 <= said.0 + 1 && said.0 <= latest.0 + 1, "{earliest:?} {said:?} {latest:?}");
                now += pause;
            }
        }
    }
}
