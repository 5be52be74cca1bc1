//! Stage `report` (being written).
