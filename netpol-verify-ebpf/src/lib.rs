//! What both sides of netpol-verify share: the record format, the settings, the names of programs and maps.
//!
//! The library half of this crate is `no_std` and compiled twice: into the eBPF object and into user space, so that
//! nothing on the wire is defined twice. The programs are in `main.rs` (the sensor's, which observe) and
//! `lab_enforcer.rs` (the lab's, which drop), and are only built for the BPF target.

#![no_std]

pub mod gate;
pub mod headers;
pub mod record;
pub mod settings;

pub use record::{ABI_VERSION, RECORD_SIZE, Record, RecordHeader, SNAP_LENGTH, Vantage};
