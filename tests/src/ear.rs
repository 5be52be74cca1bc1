//! A sensor over a pair of pods, and everything it says.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use netpol_verify::{
    bus::{Announcement, Bus, LocalBus, LocalInbox, LossTotals, Message},
    flow::{Patience, Tracker},
    kernel::KernelFacts,
    net::{Netns, NetnsCookie, NodeId, netns_cookie_here},
    observe::{Decoder, Sighting, Where},
    sensor::{Mode, NetnsPath, Options, Pods, ProbeSocket, Sensor, inside},
    suite::Prober,
};

use crate::Pair;

/// Messages the bus holds; no test makes more.
const BUS: usize = 1 << 16;

/// A sensor that leaves the kernel's drops alone: then what it counts are this test's packets and nobody else's.
pub const ONLY_PODS: Options = Options {
    ring_bytes: None,
    attachment: None,
    without_drops: true,
    heartbeat: None,
    object: None,
};

/// The cookie of a role's namespace.
///
/// # Errors
/// It cannot be entered.
pub fn cookie(pair: &Pair, role: &str) -> Result<NetnsCookie> {
    Ok(inside(&NetnsPath::from(pair.path(role)), netns_cookie_here)??)
}

/// A role's namespace as the one sensor's tracker knows it.
///
/// # Errors
/// It cannot be entered.
pub fn netns(pair: &Pair, role: &str) -> Result<Netns> {
    Ok(Netns {
        node: NodeId(0),
        cookie: cookie(pair, role)?,
    })
}

fn pods(pair: &Pair) -> Pods {
    let (a, b) = (pair.name("a"), pair.name("b"));
    Pods::Named(Arc::new(move |name: &str| name == a || name == b))
}

/// Hears everything that a sensor says of both pods.
pub struct Ear {
    sensor: Sensor,
    inbox: LocalInbox,
    decoder: Decoder,
    /// Every sighting so far.
    pub sightings: Vec<Sighting>,
    /// Every announcement so far.
    pub announcements: Vec<Announcement>,
    /// The losses and counters of the last heartbeat.
    pub losses: LossTotals,
}

impl Ear {
    /// Starts the sensor.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(pair: &Pair, mode: Mode, options: Options) -> Result<Self> {
        let facts = KernelFacts::of_kernel();
        let (bus, inbox) = LocalBus::new(BUS);
        let sensor =
            Sensor::start_with(&facts, mode, "node".into(), Arc::new(bus), pods(pair), options).await?;
        let decoder = Decoder::new(facts.drop_reasons);
        let mut ear = Self {
            sensor,
            inbox,
            decoder,
            sightings: Vec::new(),
            announcements: Vec::new(),
            losses: LossTotals::default(),
        };
        ear.listen().await?;
        Ok(ear)
    }

    /// The sensor.
    #[must_use]
    pub const fn sensor(&self) -> &Sensor {
        &self.sensor
    }

    /// Takes all that was recorded up to now.
    ///
    /// # Errors
    /// The sensor's drain has ended, or a record cannot be decoded.
    pub async fn listen(&mut self) -> Result<()> {
        self.sensor.sync().await.context("the drain has ended")?;
        while let Some(message) = self.inbox.try_receive() {
            match message {
                Message::Announcement(announcement) => self.announcements.push(announcement),
                Message::Roster(_) | Message::Node(_) => {}
                Message::Batch(batch) => {
                    self.decoder.learn(&batch.functions);
                    for sighting in self.decoder.batch(&batch.records) {
                        self.sightings.push(sighting?);
                    }
                    self.losses = (*batch.losses).clone();
                }
            }
        }
        Ok(())
    }

    /// A counter of the programs, by its index.
    #[must_use]
    pub fn counter(&self, index: u32) -> u64 {
        self.losses.counters.get(index as usize).copied().unwrap_or(0)
    }

    /// What left a namespace.
    pub fn sent(&self, netns: NetnsCookie) -> impl Iterator<Item = &Sighting> {
        self.sightings
            .iter()
            .filter(move |sighting| sighting.netns == netns && sighting.at == Where::Sent)
    }
}

/// A prober that may send from the given pods.
///
/// # Errors
/// The sensor does not start, or a pod cannot be entered.
pub async fn prober(pair: &Pair, senders: &[&str], mode: Mode, options: Options) -> Result<Prober> {
    let (bus, inbox) = LocalBus::new(BUS);
    prober_over(pair, senders, mode, options, Arc::new(bus), inbox).await
}

/// As [`prober`], over a bus of the test's own.
///
/// # Errors
/// As [`prober`].
pub async fn prober_over(
    pair: &Pair,
    senders: &[&str],
    mode: Mode,
    options: Options,
    bus: Arc<dyn Bus>,
    inbox: LocalInbox,
) -> Result<Prober> {
    let facts = KernelFacts::of_kernel();
    let sensor = Sensor::start_with(&facts, mode, "node".into(), bus, pods(pair), options).await?;
    let decoder = Decoder::new(facts.drop_reasons);
    let patience = Patience {
        silence: std::time::Duration::from_millis(100),
        reply: std::time::Duration::from_millis(100),
    };
    let mut prober = Prober::new(sensor, inbox, decoder, Tracker::new(patience));
    let scope: Result<_> = ["a", "b", "r"]
        .into_iter()
        .map(|role| cookie(pair, role))
        .collect();
    prober.only_drops_in(scope?);
    for role in senders {
        prober.add_socket(ProbeSocket::open(&NetnsPath::from(pair.path(role)))?);
    }
    Ok(prober)
}
