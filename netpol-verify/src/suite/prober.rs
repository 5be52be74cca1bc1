//! Sends probes and waits until each is decided: by its delivery or its drop in microseconds, by silence when there is
//! nothing else.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use crate::{
    bus::{LocalInbox, Message},
    flow::{InFlight, Next, Outcome, Tracker, Window},
    net::{AttemptKey, Clock, KernelTime, Netns, NetnsCookie},
    observe::{Damage, Decoder},
    sensor::{Probe, ProbeError, ProbeSocket, Sensor, Tunnel},
};

/// How long open probes are looked at without a pause.
const SPIN: Duration = Duration::from_millis(3);
/// Between two looks at probes that are still open.
const POLL: Duration = Duration::from_millis(2);
/// No attempt is waited for longer than this, whatever the sensor says.
const GIVE_UP: Duration = Duration::from_secs(5);

/// A probe to be sent, and between whom.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The source pod's namespace.
    pub source: Netns,
    /// The destination pod's namespace, when it is a watched pod.
    pub destination: Option<Netns>,
    /// The probe.
    pub probe: Probe,
}

/// What became of a probe.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The outcome.
    pub outcome: Outcome,
    /// From the system call that sent the first packet to the moment the outcome was known; `None` when it never was.
    /// A drop is known when it is seen; that retransmissions were dropped as well only confirms it.
    pub latency: Option<Duration>,
    /// When the first packet was sent.
    pub started: KernelTime,
}

/// The verifier's half of the pipeline in this process: bus, decoder, tracker.
pub struct Prober {
    sensor: Sensor,
    inbox: LocalInbox,
    decoder: Decoder,
    tracker: Tracker,
    sockets: HashMap<NetnsCookie, ProbeSocket>,
    damaged: u64,
}

struct Open<'a> {
    index: usize,
    plan: &'a Planned,
    key: AttemptKey,
    packet: Vec<u8>,
    /// What goes on the wire in the probe's place, and what names it there.
    carrier: Option<(Probe, AttemptKey)>,
    flight: InFlight,
}

impl Prober {
    /// A prober over a running sensor whose bus ends in `inbox`.
    #[must_use]
    pub fn new(sensor: Sensor, inbox: LocalInbox, decoder: Decoder, tracker: Tracker) -> Self {
        Self {
            sensor,
            inbox,
            decoder,
            tracker,
            sockets: HashMap::new(),
            damaged: 0,
        }
    }

    /// Adds a pod that probes can be sent from.
    pub fn add_socket(&mut self, socket: ProbeSocket) {
        self.sockets.insert(socket.netns(), socket);
    }

    /// The namespaces whose drops count, besides the pods'.
    pub fn only_drops_in(&mut self, scope: HashSet<NetnsCookie>) {
        self.tracker.only_drops_in(scope);
    }

    /// The sensor.
    #[must_use]
    pub const fn sensor(&self) -> &Sensor {
        &self.sensor
    }

    /// What the tracker knows.
    #[must_use]
    pub const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// How many records could not be decoded.
    #[must_use]
    pub const fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Asks the sensor for its counters as they are now.
    pub async fn settle(&mut self) {
        self.sensor.sync().await;
        self.pump();
    }

    /// Sends every probe, retransmits what was dropped or not seen, and returns when each is decided or its time is up.
    ///
    /// # Errors
    /// A packet cannot be built. A probe that the kernel refuses to send is no error: it did not leave, and its outcome
    /// says so.
    pub async fn run(&mut self, planned: &[Planned]) -> Result<Vec<Decided>, ProbeError> {
        self.run_through(planned, None).await
    }

    /// As [`Self::run`], with every packet inside a tunnel, where one is given.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_through(
        &mut self,
        planned: &[Planned],
        tunnel: Option<Tunnel>,
    ) -> Result<Vec<Decided>, ProbeError> {
        let mut decided: Vec<Option<Decided>> = vec![None; planned.len()];
        let mut open = Vec::new();
        // Announcements of pods that came just now.
        self.pump();
        for (index, plan) in planned.iter().enumerate() {
            let inner = plan.probe.packet()?;
            let (packet, carrier) = match tunnel {
                None => (inner, None),
                Some(tunnel) => {
                    let carried = tunnel.wrap(&inner)?;
                    (carried.packet, Some((carried.carrier, carried.key)))
                }
            };
            let mut attempt = Open {
                index,
                plan,
                key: plan.probe.key(),
                packet,
                carrier,
                flight: InFlight::new(Clock.now(), GIVE_UP),
            };
            self.send(&mut attempt).await;
            match self.look(&mut attempt).await {
                Some(done) => set(&mut decided, index, done),
                None => open.push(attempt),
            }
        }
        let waiting = Clock.now();
        while !open.is_empty() {
            // Answers of the lab's own servers take microseconds and need only this thread; what takes longer can wait
            // for a timer.
            if Clock.now().since(waiting) < SPIN {
                tokio::task::yield_now().await;
                self.sensor.flush().await;
            } else {
                tokio::time::sleep(POLL).await;
                self.sensor.sync().await;
            }
            self.pump();
            let mut still_open = Vec::new();
            for mut attempt in open {
                match self.look(&mut attempt).await {
                    Some(done) => set(&mut decided, attempt.index, done),
                    None => still_open.push(attempt),
                }
            }
            open = still_open;
        }
        Ok(decided.into_iter().flatten().collect())
    }

    /// The outcome, if it is certain.
    async fn look(&mut self, attempt: &mut Open<'_>) -> Option<Decided> {
        loop {
            let outcome = self.outcome(attempt);
            let trace = self.tracker.trace(&attempt.key);
            let last_seen = trace.and_then(|trace| trace.last_seen(self.tracker.nodes()));
            match attempt.flight.next(&outcome, last_seen, Clock.now()) {
                Next::Send => self.send(attempt).await,
                Next::Wait => return None,
                Next::Done(certain) => {
                    self.tracker.forget(&attempt.key);
                    let started = attempt.flight.started;
                    return Some(Decided {
                        outcome,
                        latency: certain.map(|moment| moment.since(started)),
                        started,
                    });
                }
            }
        }
    }

    fn outcome(&self, attempt: &Open<'_>) -> Outcome {
        let window = Window {
            source: attempt.plan.source,
            destination: attempt.plan.destination,
            started: attempt.flight.started,
        };
        self.tracker.outcome(&attempt.key, window)
    }

    /// Sends a packet and takes in what is seen of it at once.
    async fn send(&mut self, attempt: &mut Open<'_>) {
        attempt.flight.sent(Clock.now());
        self.tracker.expect(attempt.key);
        if let Some((_, carrier)) = &attempt.carrier {
            self.tracker.expect_as(*carrier, attempt.key);
        }
        self.hand_over(attempt);
        self.sensor.flush().await;
        self.pump();
    }

    fn hand_over(&self, attempt: &Open<'_>) {
        let Some(socket) = self.sockets.get(&attempt.plan.source.cookie) else {
            tracing::warn!(source = %attempt.plan.source.cookie, "No probe socket is open in the source's namespace.");
            return;
        };
        let carrier = attempt.carrier.as_ref().map(|(probe, _)| probe);
        let on_the_wire = carrier.unwrap_or(&attempt.plan.probe);
        if let Err(error) = socket.send_packet(on_the_wire, &attempt.packet) {
            tracing::debug!(%error, "A probe did not leave.");
        }
    }

    /// Takes everything that is on the bus.
    fn pump(&mut self) {
        while let Some(message) = self.inbox.try_receive() {
            match message {
                Message::Announcement(announcement) => self.tracker.announce(&announcement),
                Message::Roster(roster) => self.tracker.roster(&roster),
                Message::Node(facts) => self.tracker.facts(&facts),
                Message::Batch(batch) => {
                    let node = self.tracker.node(&batch.origin.node);
                    self.decoder.learn(&batch.functions);
                    for sighting in self.decoder.batch(&batch.records) {
                        match sighting {
                            Ok(sighting) => {
                                self.tracker.sighting(node, sighting);
                            }
                            Err(damage) => {
                                count_damage(&mut self.damaged, damage);
                                self.tracker.damage(node, 1);
                            }
                        }
                    }
                    self.tracker.batch(&batch, Clock.now());
                }
            }
        }
    }
}

fn count_damage(damaged: &mut u64, damage: Damage) {
    *damaged += 1;
    tracing::warn!(%damage, "A record could not be decoded.");
}

fn set(decided: &mut [Option<Decided>], index: usize, done: Decided) {
    if let Some(slot) = decided.get_mut(index) {
        *slot = Some(done);
    }
}
