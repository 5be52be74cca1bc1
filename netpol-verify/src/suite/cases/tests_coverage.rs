//! What the suites cover.
