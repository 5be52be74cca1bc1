//! Stage `suite` (being written).
