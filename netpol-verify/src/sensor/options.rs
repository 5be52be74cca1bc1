//! What may differ between two sensors that run the same programs.

use std::time::Duration;

use super::attach::Attachment;

/// Choices of whoever starts a sensor; the default is right wherever packets matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The ring's size in bytes, a power of two and whole pages; `None` leaves the object's own.
    pub ring_bytes: Option<u32>,
    /// How interfaces are attached to; `None` takes the best that the kernel has.
    pub attachment: Option<Attachment>,
    /// Leaves the kernel's drops alone: then only what crosses pods' interfaces is counted, and nothing that others do
    /// on the machine.
    pub without_drops: bool,
    /// How often the sensor proves that it is alive; `None` is often enough for whoever waits on this machine.
    pub heartbeat: Option<Duration>,
    /// Another object than the embedded one: one built with `--log`, say.
    pub object: Option<&'static [u8]>,
}
