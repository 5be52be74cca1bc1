//! Stage `sensor` (being written).
