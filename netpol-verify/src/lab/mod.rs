//! Stage `lab` (being written).
