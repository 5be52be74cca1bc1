//! The catalogue, a file for each class. The faults are a sample of what CNIs did wrong, and of their neighbours.

mod direction;
mod meaning;
mod nodes;
mod packets;
mod programming;
mod time;

pub(super) use direction::DIRECTION;
pub(super) use meaning::MEANING;
pub(super) use nodes::NODES;
pub(super) use packets::PACKETS;
pub(super) use programming::PROGRAMMING;
pub(super) use time::TIME;
