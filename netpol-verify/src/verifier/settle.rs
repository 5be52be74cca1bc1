//! Whether a verdict stands although something it depends on has just changed. Times are arguments.

use std::time::Duration;

use crate::{judge::Verdict, net::KernelTime};

/// The last change that touches an attempt, and how long a change may take until it is enforced.
#[derive(Clone, Copy, Debug)]
pub struct LastChange {
    /// When it was noticed.
    pub noticed: KernelTime,
    /// How long enforcers may take.
    pub settle: Duration,
}

/// Whether a verdict stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It does.
    Yes,
    /// The change may still be on its way to the enforcers: what contradicts it is no violation. It is so old.
    Propagating {
        /// From the change to the attempt.
        age: Duration,
    },
    /// The attempt is older than the change that it was judged by: neither a pass nor a violation.
    Overtaken,
}

/// Whether a verdict on an attempt stands that began, at the earliest, at a moment.
#[must_use]
pub fn stands(verdict: Verdict, began: KernelTime, change: Option<LastChange>) -> Stands {
    let Some(change) = change else { return Stands::Yes };
    match verdict {
        // They claim nothing.
        Verdict::Unspecified | Verdict::Inconclusive => Stands::Yes,
        Verdict::Enforced | Verdict::Permitted | Verdict::Leak | Verdict::Overblock
            if began < change.noticed =>
        {
            Stands::Overtaken
        }
        Verdict::Leak | Verdict::Overblock if began < change.noticed.plus(change.settle) => {
            Stands::Propagating {
                age: began.since(change.noticed),
            }
        }
        Verdict::Enforced | Verdict::Permitted | Verdict::Leak | Verdict::Overblock => Stands::Yes,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LastChange, Stands, stands};
    use crate::{judge::Verdict, net::KernelTime};

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn every_verdict_at_every_distance_from_a_change() {
        use Stands::{Overtaken, Yes};
        let propagating = |seconds| Stands::Propagating {
            age: Duration::from_secs(seconds),
        };
        // The change is noticed at 100 s and may take 5 s.
        let table = [
            (Verdict::Leak, [Overtaken, propagating(0), propagating(4), Yes]),
            (
                Verdict::Overblock,
                [Overtaken, propagating(0), propagating(4), Yes],
            ),
            (Verdict::Enforced, [Overtaken, Yes, Yes, Yes]),
            (Verdict::Permitted, [Overtaken, Yes, Yes, Yes]),
            (Verdict::Unspecified, [Yes; 4]),
            (Verdict::Inconclusive, [Yes; 4]),
        ];
        let change = Some(LastChange {
            noticed: KernelTime(100 * SECOND),
            settle: Duration::from_secs(5),
        });
        for (verdict, expected) in table {
            for (began, expected) in [99, 100, 104, 105].into_iter().zip(expected) {
                assert_eq!(
                    stands(verdict, KernelTime(began * SECOND), change),
                    expected,
                    "{verdict} {began}"
                );
            }
            assert_eq!(stands(verdict, KernelTime(0), None), Yes);
        }
    }

    #[test]
    fn without_a_budget_a_change_counts_from_its_moment() {
        let change = Some(LastChange {
            noticed: KernelTime(9),
            settle: Duration::ZERO,
        });
        assert_eq!(stands(Verdict::Leak, KernelTime(9), change), Stands::Yes);
        assert_eq!(stands(Verdict::Leak, KernelTime(8), change), Stands::Overtaken);
    }
}
