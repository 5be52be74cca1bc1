//! Stage `observe` (being written).
