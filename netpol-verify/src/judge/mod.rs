//! Stage `judge` (being written).
