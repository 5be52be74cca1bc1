//! Sends probes from pods anywhere in the cluster and waits until each is decided, by what sensors saw.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;

use super::{ears::Ears, ears::Taken, line::Line};
use crate::{
    bus::{
        ATTENTION, Answer, Ask, AskError, Inbox, NodeFacts, NodeName, Origin, PROBES_AT_ONCE, ProbeOrder,
        Sensors,
    },
    flow::{InFlight, Next, Outcome, Patience, Window},
    net::{AttemptKey, Clock, KernelTime, Netns},
    sensor::Probe,
};

/// No attempt is waited for longer than this, whatever sensors say.
const GIVE_UP: Duration = Duration::from_secs(8);
/// Between two looks at probes that are still open.
const POLL: Duration = Duration::from_millis(20);
/// How long a sensor may take to introduce itself, and its clock to be known.
const INTRODUCTION: Duration = Duration::from_secs(10);

/// A probe to be sent, and between whom.
#[derive(Clone, Debug)]
pub struct Order {
    /// The source pod's namespace.
    pub source: Netns,
    /// The destination pod's namespace.
    pub destination: Netns,
    /// The probe.
    pub probe: Probe,
}

/// What became of a probe.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The outcome.
    pub outcome: Outcome,
    /// From the first packet to the moment the outcome was certain, across the bus; `None` when it never was.
    pub latency: Option<Duration>,
    /// Before the first packet was sent.
    pub started: KernelTime,
    /// Why a packet did not leave, in the sensor's words.
    pub refused: Option<String>,
}

/// Probing came to an end before its answers.
#[derive(Debug, thiserror::Error)]
pub enum ProbingError {
    /// Nothing comes from the bus any more.
    #[error("the bus is gone: nothing is heard of sensors any more")]
    BusGone,
    /// A sensor cannot be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// A verifier's voice and ears.
pub struct ClusterProber<S> {
    sensors: Arc<S>,
    line: Line,
    ears: Ears,
}

struct Open<'a> {
    index: usize,
    order: &'a Order,
    key: AttemptKey,
    flight: InFlight,
    refused: Option<String>,
}

/// A look at an attempt.
enum Look {
    Done(Decided),
    Open { send: bool },
}

impl<S: Sensors> ClusterProber<S> {
    /// A prober that calls itself by a name of its own; `None` where the only sensor is in this process.
    #[must_use]
    pub fn new<I: Inbox>(patience: Patience, name: Option<&str>, sensors: Arc<S>, inbox: I) -> Self {
        let called = name.unwrap_or("local").to_owned();
        Self {
            line: Line::open(called, sensors.clone(), inbox),
            ears: Ears::new(patience, name),
            sensors,
        }
    }

    /// What sensors have said.
    #[must_use]
    pub const fn ears(&self) -> &Ears {
        &self.ears
    }

    /// Takes what is there.
    async fn pump(&mut self) {
        while let Some((message, arrived)) = self.line.try_next() {
            self.take(message, arrived).await;
        }
    }

    async fn take(&mut self, message: crate::bus::Message, arrived: KernelTime) {
        // Nobody's traffic but our own is looked at.
        if let Taken::Stranger(node) = self.ears.take(&message, arrived, |_| {})
            && let Ok(Answer::Facts(session, facts)) = self.sensors.ask(&node, Ask::Facts).await
            && session == message.origin().session
        {
            self.ears.introduce(&NodeFacts {
                origin: Origin { node, session },
                facts: *facts,
            });
            self.ears.take(&message, arrived, |_| {});
        }
    }

    /// Listens for so long.
    ///
    /// # Errors
    /// The bus is gone.
    pub async fn listen(&mut self, span: Duration) -> Result<(), ProbingError> {
        let until = tokio::time::Instant::now() + span;
        loop {
            match tokio::time::timeout_at(until, self.line.next()).await {
                Err(_) => return Ok(()),
                Ok(None) => return Err(ProbingError::BusGone),
                Ok(Some((message, arrived))) => self.take(message, arrived).await,
            }
        }
    }

    /// Waits until these nodes' sensors have introduced themselves and their clocks are known; gives those that have not.
    ///
    /// # Errors
    /// The bus is gone.
    pub async fn meet(&mut self, nodes: &BTreeSet<String>) -> Result<BTreeSet<String>, ProbingError> {
        let from = Clock.now();
        loop {
            let known = self.ears.tracker().nodes();
            let missing: BTreeSet<String> = nodes
                .iter()
                .filter(|node| {
                    known
                        .find(node)
                        .is_none_or(|id| known.get(id).clock().error().is_none())
                })
                .cloned()
                .collect();
            if missing.is_empty() || Clock.now().since(from) > INTRODUCTION {
                return Ok(missing);
            }
            self.listen(POLL * 5).await?;
        }
    }

    /// Sends every probe, retransmits what was dropped or not seen, and returns when each is decided or its time is up.
    ///
    /// # Errors
    /// The bus is gone. A sensor that does not answer is no error: its probes did not leave, and their outcomes say so.
    pub async fn run(&mut self, orders: &[Order]) -> Result<Vec<Decided>, ProbingError> {
        let mut decided: Vec<Option<Decided>> = vec![None; orders.len()];
        let nodes = self.nodes_of(orders);
        // Repeats must be recorded before they come; what was folded until now is published.
        self.ask_all(&nodes, &Ask::Attend(ATTENTION)).await;
        self.ask_all(&nodes, &Ask::Sync).await;
        self.pump().await;
        let mut open: Vec<Open<'_>> = orders
            .iter()
            .enumerate()
            .map(|(index, order)| Open {
                index,
                order,
                key: order.probe.key(),
                flight: InFlight::new(Clock.now(), GIVE_UP),
                refused: None,
            })
            .collect();
        for attempt in &open {
            self.ears.tracker_mut().expect(attempt.key);
        }
        let all: Vec<usize> = (0..open.len()).collect();
        self.send(&mut open, &all).await;
        while !open.is_empty() {
            self.ask_all(&nodes, &Ask::Sync).await;
            self.listen(POLL).await?;
            self.pump().await;
            let mut again = Vec::new();
            let mut still_open = Vec::new();
            for mut attempt in open {
                match self.look(&mut attempt) {
                    Look::Done(done) => {
                        if let Some(slot) = decided.get_mut(attempt.index) {
                            *slot = Some(done);
                        }
                    }
                    Look::Open { send } => {
                        if send {
                            again.push(still_open.len());
                        }
                        still_open.push(attempt);
                    }
                }
            }
            open = still_open;
            self.send(&mut open, &again).await;
        }
        Ok(decided.into_iter().flatten().collect())
    }

    fn nodes_of(&self, orders: &[Order]) -> BTreeSet<NodeName> {
        orders
            .iter()
            .flat_map(|order| [order.source.node, order.destination.node])
            .filter_map(|id| self.ears.name(id).cloned())
            .collect()
    }

    /// Asks all of them at once. One that does not answer proves nothing, and that is all that follows.
    async fn ask_all(&self, nodes: &BTreeSet<NodeName>, ask: &Ask) {
        let asked = nodes.iter().map(|node| self.sensors.ask(node, ask.clone()));
        for (node, answer) in nodes.iter().zip(join_all(asked).await) {
            if let Err(error) = answer {
                tracing::debug!(%node, %error, "A sensor did not answer.");
            }
        }
    }

    /// Has the packets of some attempts sent, each node's in one order.
    async fn send(&self, open: &mut [Open<'_>], which: &[usize]) {
        let mut by_node = BTreeMap::<NodeName, Vec<usize>>::new();
        for index in which {
            let Some(attempt) = open.get_mut(*index) else {
                continue;
            };
            attempt.flight.sent(Clock.now());
            match self.ears.name(attempt.order.source.node) {
                Some(node) => by_node.entry(node.clone()).or_default().push(*index),
                None => attempt.refused = Some("its node has no sensor".to_owned()),
            }
        }
        let mut chunks = Vec::new();
        for (node, indices) in &by_node {
            chunks.extend(indices.chunks(PROBES_AT_ONCE).map(|chunk| (node, chunk)));
        }
        let asked = chunks.iter().map(|(node, chunk)| {
            let orders = chunk
                .iter()
                .filter_map(|index| open.get(*index))
                .map(order)
                .collect();
            self.sensors.ask(node, Ask::Probe(orders))
        });
        let answers = join_all(asked).await;
        for ((_, chunk), answer) in chunks.iter().zip(answers) {
            let results = match answer {
                Ok(Answer::Probed(results)) => results,
                Ok(Answer::Refused(why)) => vec![Err(why); chunk.len()],
                Ok(other) => vec![Err(format!("the sensor answered {other:?}")); chunk.len()],
                Err(error) => vec![Err(error.to_string()); chunk.len()],
            };
            for (index, result) in chunk.iter().zip(results) {
                if let (Some(attempt), Err(why)) = (open.get_mut(*index), result) {
                    attempt.refused = Some(why);
                }
            }
        }
    }

    /// The outcome, if it is final.
    fn look(&mut self, attempt: &mut Open<'_>) -> Look {
        let tracker = self.ears.tracker();
        let window = Window {
            source: attempt.order.source,
            destination: Some(attempt.order.destination),
            started: attempt.flight.started,
        };
        let outcome = tracker.outcome(&attempt.key, window);
        let last_seen = tracker
            .trace(&attempt.key)
            .and_then(|trace| trace.last_seen(tracker.nodes()));
        match attempt.flight.next(&outcome, last_seen, Clock.now()) {
            Next::Send => Look::Open { send: true },
            Next::Wait => Look::Open { send: false },
            Next::Done(certain) => {
                self.ears.tracker_mut().forget(&attempt.key);
                let started = attempt.flight.started;
                Look::Done(Decided {
                    outcome,
                    latency: certain.map(|moment| moment.since(started)),
                    started,
                    refused: attempt.refused.take(),
                })
            }
        }
    }
}

fn order(attempt: &Open<'_>) -> ProbeOrder {
    let probe = &attempt.order.probe;
    ProbeOrder {
        netns: attempt.order.source.cookie,
        protocol: probe.protocol,
        source: probe.source,
        destination: probe.destination,
        nonce: probe.nonce,
    }
}
