//! The one clock. Records carry the kernel's monotonic time; this file is the only one that reads it.

use std::{fmt, time::Duration};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Nanoseconds on `CLOCK_MONOTONIC`, the clock of `bpf_ktime_get_ns`; comparable within one boot of one node only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KernelTime(pub u64);

impl KernelTime {
    /// The time that passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment and `span` more.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

impl fmt::Display for KernelTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// A span in whole microseconds, as documents give it.
#[must_use]
pub fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Reads the time; everything below `suite` and `cli` gets time as an argument instead.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// Now, on the clock of the records. `CLOCK_MONOTONIC` cannot fail on Linux; were it to, time stands at zero.
    #[must_use]
    pub fn now(self) -> KernelTime {
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(KernelTime(0), |t| {
            let seconds = u64::try_from(t.tv_sec()).unwrap_or(0);
            let nanos = u64::try_from(t.tv_nsec()).unwrap_or(0);
            KernelTime(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
        })
    }
}
