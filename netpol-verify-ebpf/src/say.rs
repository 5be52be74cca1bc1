//! The programs' own diagnostics: `aya-log`, and nothing at all without the feature `log`.

/// Says something to whoever reads the map of messages, at level debug.
#[cfg(feature = "log")]
macro_rules! say {
    ($ctx:expr, $($message:tt)+) => {
        aya_log_ebpf::debug!($ctx, $($message)+)
    };
}

/// Nothing: the committed object carries no messages.
#[cfg(not(feature = "log"))]
macro_rules! say {
    ($ctx:expr, $($message:tt)+) => {};
}

pub(crate) use say;
