//! The whole sensor: programs, drain and follow, started and stopped together.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use netpol_verify_ebpf::settings::Settings;

use super::{
    attach::Attachment,
    drain::{Drain, DrainHandle},
    follow::{Filter, Follow, FollowError},
    object::{EMBEDDED, LoadError, Object},
    options::Options,
};
use crate::{
    bus::{Bus, NodeName},
    kernel::KernelFacts,
    net::KernelTime,
};

/// The sensor cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SensorError {
    /// The programs cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Namespaces cannot be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The ring buffer cannot be polled.
    #[error("polling the ring buffer: {0}")]
    Poll(#[from] io::Error),
}

/// How a sensor records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Probes are in flight: every packet is recorded. The prober asks for the ring itself, right after it has sent:
    /// waking a reader would cost more than everything else (5 µs a record in a guest, measured).
    Active,
    /// Other people's traffic: repeats are folded, each pod has a budget, the reader polls.
    Passive,
}

impl Mode {
    /// The programs' settings of the mode.
    #[must_use]
    pub const fn settings(self) -> Settings {
        match self {
            Self::Active => Settings {
                fold_window_ns: 0,
                bucket_interval_ns: 0,
                bucket_burst_ns: 0,
                wakeup: 0,
                reserved: 0,
            },
            // A second's repeats are one record; a pod may write 2,000 records a second, a second's worth at once.
            Self::Passive => Settings {
                fold_window_ns: 1_000_000_000,
                bucket_interval_ns: 500_000,
                bucket_burst_ns: 1_000_000_000,
                wakeup: 0,
                reserved: 0,
            },
        }
    }
}

/// A running sensor. Dropping it lets go of every interface and unloads the programs.
pub struct Sensor {
    object: Arc<Mutex<Object>>,
    handle: DrainHandle,
    attachment: Attachment,
    sees_drops: bool,
    // Dropped in this order: interfaces first, then the reader.
    _follow: Follow,
    _drain: Drain,
}

impl Sensor {
    /// Loads the embedded programs, attaches to every pod that is there, and follows. When it returns, those pods are
    /// announced on the bus.
    ///
    /// # Errors
    /// A step of it fails; nothing stays behind.
    pub async fn start(
        facts: &KernelFacts,
        mode: Mode,
        node: NodeName,
        bus: Arc<dyn Bus>,
        filter: Filter,
    ) -> Result<Self, SensorError> {
        Self::start_with(facts, mode, node, bus, filter, Options::default()).await
    }

    /// As [`Self::start`], with choices.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        facts: &KernelFacts,
        mode: Mode,
        node: NodeName,
        bus: Arc<dyn Bus>,
        filter: Filter,
        options: Options,
    ) -> Result<Self, SensorError> {
        let attachment = options.attachment.unwrap_or_else(Attachment::of_kernel);
        let mut object = Object::load_with(options.object.unwrap_or(EMBEDDED), facts, options)?;
        object.set(mode.settings())?;
        let sees_drops = object.sees_drops();
        let (drain, handle) = Drain::start(object.take_maps()?, node.clone(), bus.clone())?;
        let object = Arc::new(Mutex::new(object));
        let follow = Follow::start(object.clone(), node, bus, filter, attachment).await?;
        Ok(Self {
            object,
            handle,
            attachment,
            sees_drops,
            _follow: follow,
            _drain: drain,
        })
    }

    /// Changes the settings at once.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set(&self, settings: Settings) -> Result<(), SensorError> {
        Ok(self
            .object
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .set(settings)?)
    }

    /// Empties the ring at once and publishes a heartbeat; its `drained_at`.
    pub async fn sync(&self) -> Option<KernelTime> {
        self.handle.sync().await
    }

    /// Publishes what is in the ring at once, without a proof.
    pub async fn flush(&self) -> Option<KernelTime> {
        self.handle.flush().await
    }

    /// Whether drops are seen on this kernel.
    #[must_use]
    pub const fn sees_drops(&self) -> bool {
        self.sees_drops
    }

    /// How interfaces are attached to.
    #[must_use]
    pub const fn attachment(&self) -> Attachment {
        self.attachment
    }
}
