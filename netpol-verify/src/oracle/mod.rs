//! What people ask without packets, and how it is shown.

mod matrix;

pub use matrix::*;
