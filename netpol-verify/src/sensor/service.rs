//! The whole sensor: programs, drain and follow, started and stopped together.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use netpol_verify_ebpf::{ABI_VERSION, settings::Settings};

use super::{
    answer::Attention,
    attach::Attachment,
    discover::Pods,
    drain::{Drain, DrainHandle, Shared},
    follow::{Follow, FollowError},
    inside::OpenNetns,
    object::{EMBEDDED, LoadError, Object},
    options::Options,
};
use crate::{
    bus::{Bus, Message, NodeFacts, NodeName, Origin, SensorFacts},
    kernel::KernelFacts,
    net::{Clock, KernelTime, NetnsCookie, netns_cookie_here},
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

/// Facts about this node. The namespace is this thread's: the sensor runs in its node's own.
fn sensor_facts(kernel: &KernelFacts, pods: &Pods, attachment: Attachment, sees_drops: bool) -> SensorFacts {
    let read = |path: &str| {
        std::fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    let mut notes = kernel.notes.clone();
    notes.extend(pods.notes());
    if attachment == Attachment::Clsact {
        notes.push(
            "attached by clsact, not TCX (Linux 6.6): a program before ours may hide packets".to_owned(),
        );
    }
    SensorFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        abi: ABI_VERSION,
        kernel: read("/proc/sys/kernel/osrelease"),
        boot: read("/proc/sys/kernel/random/boot_id"),
        host_netns: netns_cookie_here().unwrap_or(NetnsCookie(0)),
        drop_reasons: kernel.drop_reasons.names().clone(),
        functions: Default::default(),
        sees_drops,
        attachment: attachment.to_string(),
        notes,
        started: Clock.now(),
        wall_clock: wall_clock(),
    }
}

/// The wall clock in nanoseconds since 1970.
fn wall_clock() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0)
}

/// Whoever does not take it, has no room or is gone: it is said again to the next verifier that calls.
fn publish(bus: &dyn Bus, message: Message) {
    if bus.publish(message).is_err() {
        tracing::debug!("The bus did not take what the node is.");
    }
}

/// A running sensor. Dropping it lets go of every interface and unloads the programs.
pub struct Sensor {
    object: Arc<Mutex<Object>>,
    handle: DrainHandle,
    attachment: Attachment,
    sees_drops: bool,
    mode: Mode,
    attention: Attention,
    bus: Arc<dyn Bus>,
    shared: Arc<Shared>,
    facts: NodeFacts,
    // Dropped in this order: interfaces first, then the reader.
    follow: Follow,
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
        pods: Pods,
    ) -> Result<Self, SensorError> {
        Self::start_with(facts, mode, node, bus, pods, Options::default()).await
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
        pods: Pods,
        options: Options,
    ) -> Result<Self, SensorError> {
        let attachment = options.attachment.unwrap_or_else(Attachment::of_kernel);
        let mut object = Object::load_with(options.object.unwrap_or(EMBEDDED), facts, options)?;
        object.set(mode.settings())?;
        let sees_drops = object.sees_drops();
        // Random, so that nobody takes this sensor's numbers for those of the one before.
        let session = crate::random::random();
        let origin = Origin { node, session };
        let facts = NodeFacts {
            origin: origin.clone(),
            facts: sensor_facts(facts, &pods, attachment, sees_drops),
        };
        publish(&*bus, Message::Node(facts.clone()));
        let shared = Arc::new(Shared::default());
        let (drain, handle) = Drain::start(
            object.take_maps()?,
            origin.clone(),
            bus.clone(),
            shared.clone(),
            options.heartbeat,
        )?;
        let object = Arc::new(Mutex::new(object));
        let follow = Follow::start(object.clone(), origin, bus.clone(), pods, attachment).await?;
        Ok(Self {
            object,
            handle,
            attachment,
            sees_drops,
            mode,
            attention: Attention::default(),
            bus,
            shared,
            facts,
            follow,
            _drain: drain,
        })
    }

    /// A verifier calls with its own time: the next batches say when that was heard. One that was not heard before is told
    /// everything.
    pub async fn hear(&self, verifier: &str, called_at: KernelTime) {
        if self.shared.hear(verifier, called_at) {
            self.introduce().await;
        }
    }

    /// Says what the node is, and every interface on it.
    pub async fn introduce(&self) {
        publish(&*self.bus, Message::Node(self.facts()));
        self.follow.roster().await;
    }

    /// What the node is.
    #[must_use]
    pub fn facts(&self) -> NodeFacts {
        let mut facts = self.facts.clone();
        facts.facts.functions = self.shared.functions();
        facts.facts.wall_clock = wall_clock();
        facts
    }

    /// A watched namespace by its cookie, held open: to be dropped soon, for a pod's interfaces stay as long as its namespace
    /// does.
    #[must_use]
    pub fn netns(&self, cookie: NetnsCookie) -> Option<OpenNetns> {
        self.follow.netns(cookie)
    }

    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) const fn attention(&self) -> &Attention {
        &self.attention
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
