//! Which namespaces of one node lost records, and between which moments. All times are the node's.

use std::collections::BTreeMap;

use crate::{
    bus::LossTotals,
    net::{KernelTime, NetnsCookie},
};

/// A log of losses. Totals only grow; what grew between two heartbeats was lost between them.
#[derive(Debug, Default)]
pub struct LossLog {
    last: LossTotals,
    last_at: KernelTime,
    spans: Vec<Span>,
    missing_batches: u64,
}

#[derive(Debug)]
struct Span {
    from: KernelTime,
    to: KernelTime,
    /// `None`: nobody can say where.
    netns: Option<NetnsCookie>,
    count: u64,
}

impl LossLog {
    /// Takes the totals of a heartbeat that proves everything up to `at`. They were read later than that, so what they
    /// grew by may have been lost later as well.
    pub fn heartbeat(&mut self, totals: &LossTotals, at: KernelTime) {
        let from = self.last_at;
        let to = at.max(totals.read_at);
        let mut log = |netns, before: u64, now: u64| {
            if let Some(count) = now.checked_sub(before).filter(|&count| count > 0) {
                self.spans.push(Span {
                    from,
                    to,
                    netns,
                    count,
                });
            }
        };
        log(None, self.last.unplaced, totals.unplaced);
        for (netns, now) in &totals.by_netns {
            log(
                Some(*netns),
                self.last.by_netns.get(netns).copied().unwrap_or(0),
                *now,
            );
        }
        self.last = totals.clone();
        self.last_at = at;
    }

    /// Batches are missing: whatever they held is lost, wherever it was, between the last heartbeat and a moment.
    pub fn gap(&mut self, at: KernelTime, batches: u64) {
        self.missing_batches += batches;
        self.spans.push(Span {
            from: self.last_at,
            to: at,
            netns: None,
            count: batches,
        });
    }

    /// The sensor started again: its totals begin at nothing, and what it missed in between is nobody's to know.
    pub(super) fn restart(&mut self) {
        self.last = LossTotals::default();
        self.last_at = KernelTime(0);
    }

    /// Lets go of what was lost before a moment.
    pub(super) fn forget_before(&mut self, moment: KernelTime) {
        self.spans.retain(|span| span.to >= moment);
    }

    /// How many records were lost in one of the namespaces, or nobody knows where, between two moments.
    #[must_use]
    pub fn lost(&self, netns: &[NetnsCookie], from: KernelTime, to: KernelTime) -> u64 {
        self.spans
            .iter()
            .filter(|span| span.netns.is_none_or(|one| netns.contains(&one)))
            .filter(|span| span.from <= to && span.to >= from)
            .map(|span| span.count)
            .sum()
    }

    /// The totals of the last heartbeat.
    #[must_use]
    pub const fn latest(&self) -> &LossTotals {
        &self.last
    }

    /// How many batches never arrived.
    #[must_use]
    pub const fn missing_batches(&self) -> u64 {
        self.missing_batches
    }

    /// Everything lost so far, by namespace; the key `None` holds what nobody can place.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<Option<NetnsCookie>, u64> {
        let mut totals = BTreeMap::new();
        for span in &self.spans {
            *totals.entry(span.netns).or_insert(0) += span.count;
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::LossLog;
    use crate::{
        bus::LossTotals,
        net::{KernelTime, NetnsCookie},
    };

    fn totals(pod: u64, unplaced: u64) -> LossTotals {
        LossTotals {
            by_netns: [(NetnsCookie(1), pod)].into(),
            unplaced,
            ..LossTotals::default()
        }
    }

    #[test]
    fn a_loss_touches_its_pod_and_its_span_only() {
        let mut log = LossLog::default();
        log.heartbeat(&totals(0, 0), KernelTime(100));
        log.heartbeat(&totals(3, 0), KernelTime(200));
        log.heartbeat(&totals(3, 0), KernelTime(300));
        let (one, two) = (NetnsCookie(1), NetnsCookie(2));
        assert_eq!(log.lost(&[one], KernelTime(150), KernelTime(160)), 3);
        assert_eq!(log.lost(&[two], KernelTime(150), KernelTime(160)), 0);
        assert_eq!(log.lost(&[one], KernelTime(201), KernelTime(300)), 0);
    }

    #[test]
    fn a_loss_read_after_the_proof_may_be_later_than_the_proof() {
        let mut log = LossLog::default();
        log.heartbeat(&totals(0, 0), KernelTime(100));
        let late = LossTotals {
            read_at: KernelTime(230),
            ..totals(3, 0)
        };
        log.heartbeat(&late, KernelTime(200));
        assert_eq!(log.lost(&[NetnsCookie(1)], KernelTime(210), KernelTime(290)), 3);
        assert_eq!(log.lost(&[NetnsCookie(1)], KernelTime(231), KernelTime(290)), 0);
    }

    #[test]
    fn a_loss_nobody_can_place_touches_everyone() {
        let mut log = LossLog::default();
        log.heartbeat(&totals(0, 1), KernelTime(100));
        assert_eq!(log.lost(&[NetnsCookie(9)], KernelTime(50), KernelTime(60)), 1);
        log.gap(KernelTime(500), 2);
        assert_eq!(log.lost(&[NetnsCookie(9)], KernelTime(400), KernelTime(450)), 2);
    }
}
