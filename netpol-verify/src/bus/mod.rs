//! Stage `bus` (being written).
