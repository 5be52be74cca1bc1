//! Stage `finding` (being written).
