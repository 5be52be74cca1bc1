//! The verifier's one loop: messages of sensors, the cluster's changes, and a look at what waits.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::{MissedTickBehavior, interval},
};

use super::{
    board::{Board, Status, Wall},
    ears::{Ears, Taken},
    line::Line,
    passive::{Judged, Limits, Passive},
    share::Share,
    world::World,
};
use crate::{
    bus::{Answer, Ask, Inbox, InterfaceState, Message, NodeFacts, NodeName, Origin, SensorFacts, Sensors},
    cluster::{LiveCluster, Watching},
    flow::Patience,
    net::{Clock, KernelTime},
};

/// How often what waits is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Looks between two at oneself.
const LOOKS: u32 = 10;
/// A sensor that said nothing for so long is silent: it speaks every second.
const STALE: Duration = Duration::from_secs(5);
/// Attempts of which packets are kept.
const TRACKED: usize = 1 << 18;
/// Messages of a node that has not introduced itself yet.
const HELD: usize = 4_096;
/// Before a node that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// Messages that are taken before what waits is looked at again.
const AT_ONCE: usize = 1_024;

/// The verifier cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Nothing comes from the bus any more.
    #[error("the bus is gone: nothing is heard of sensors any more; start the verifier again")]
    BusGone,
}

/// Whether the bus is there, and if not, why not.
pub type BusState = Box<dyn Fn() -> Result<(), String> + Send>;

type Introduction = (NodeName, Option<(u64, Box<SensorFacts>)>);

/// The verifier of a cluster's traffic.
pub struct Service<S> {
    line: Line,
    sensors: Arc<S>,
    ears: Ears,
    world: World,
    passive: Passive,
    board: Arc<Board>,
    bus: BusState,
    strangers: HashMap<NodeName, Stranger>,
    introductions: Receiver<Introduction>,
    introduce: Sender<Introduction>,
    lost_of_strangers: u64,
}

/// A node whose records cannot be read yet.
#[derive(Default)]
struct Stranger {
    held: VecDeque<(Message, KernelTime)>,
    asked: Option<KernelTime>,
}

impl<S: Sensors> Service<S> {
    /// A verifier that calls itself by a name of its own, which no other process has had; `None` where the only sensor is in
    /// this process.
    #[must_use]
    pub fn new<I: Inbox>(
        name: Option<&str>,
        share: Share,
        limits: Limits,
        sensors: Arc<S>,
        inbox: I,
        bus: BusState,
    ) -> Self {
        let (introduce, introductions) = channel(64);
        let called = name.unwrap_or("local").to_owned();
        Self {
            line: Line::open(called, sensors.clone(), inbox),
            ears: Ears::new(Patience::default(), name).bounded(share, TRACKED),
            sensors,
            world: World::default(),
            passive: Passive::new(limits),
            board: Arc::new(Board::default()),
            bus,
            strangers: HashMap::new(),
            introductions,
            introduce,
            lost_of_strangers: 0,
        }
    }

    /// What it shows.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        self.board.clone()
    }

    /// Runs until `end`.
    ///
    /// # Errors
    /// The bus is gone for good.
    pub async fn run(
        mut self,
        cluster: &LiveCluster,
        end: impl Future<Output = ()>,
    ) -> Result<(), ServiceError> {
        let mut watching = cluster.watch(Watching::ASK_AGAIN).await;
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = 0_u32;
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                message = self.line.next() => {
                    let Some((message, arrived)) = message else {
                        return Err(ServiceError::BusGone);
                    };
                    self.hear(message, arrived);
                    for _ in 0..AT_ONCE {
                        let Some((message, arrived)) = self.line.try_next() else { break };
                        self.hear(message, arrived);
                    }
                }
                told = watching.next() => match told {
                    Some(all) => {
                        let now = Clock.now();
                        for told in all {
                            self.world.take(told, now);
                        }
                    }
                    // A fault of ours: everything is listed again, and what is known stays.
                    None => watching = cluster.watch(Watching::ASK_AGAIN).await,
                },
                Some(introduction) = self.introductions.recv() => self.meet(introduction),
                _ = tick.tick() => {
                    self.look();
                    looks = looks.wrapping_add(1);
                    if looks.is_multiple_of(LOOKS) {
                        self.tidy();
                    }
                }
            }
        }
    }

    fn hear(&mut self, message: Message, arrived: KernelTime) {
        if let Taken::Stranger(node) = self.listen(&message, arrived) {
            let stranger = self.strangers.entry(node.clone()).or_default();
            if stranger.held.len() >= HELD {
                // A gap in its numbers will show.
                stranger.held.pop_front();
                self.lost_of_strangers += 1;
            }
            stranger.held.push_back((message, arrived));
            if stranger
                .asked
                .is_none_or(|asked| arrived.since(asked) > ASK_AGAIN)
            {
                stranger.asked = Some(arrived);
                self.ask(node);
            }
        } else if matches!(message, Message::Node(_)) {
            self.catch_up(&message.origin().node.clone());
        }
    }

    fn listen(&mut self, message: &Message, arrived: KernelTime) -> Taken {
        let passive = &mut self.passive;
        self.ears
            .take(message, arrived, |departure| passive.depart(departure, arrived))
    }

    /// Asks a node what it is, without waiting for the answer here.
    fn ask(&self, node: NodeName) {
        let (sensors, introduce) = (self.sensors.clone(), self.introduce.clone());
        tokio::spawn(async move {
            let answer = match sensors.ask(&node, Ask::Facts).await {
                Ok(Answer::Facts(session, facts)) => Some((session, facts)),
                Ok(_) => None,
                Err(error) => {
                    tracing::debug!(%node, %error, "A sensor that has not introduced itself did not answer.");
                    None
                }
            };
            // The verifier may have ended.
            let _ = introduce.send((node, answer)).await;
        });
    }

    fn meet(&mut self, (node, answer): Introduction) {
        if let Some((session, facts)) = answer {
            self.ears.introduce(&NodeFacts {
                origin: Origin {
                    node: node.clone(),
                    session,
                },
                facts: *facts,
            });
            self.catch_up(&node);
        }
    }

    /// Takes what a node said before it was known.
    fn catch_up(&mut self, node: &NodeName) {
        let Some(stranger) = self.strangers.remove(node) else {
            return;
        };
        for (message, arrived) in stranger.held {
            // Of a session before: what it said can be read no more.
            if self.listen(&message, arrived) != Taken::Yes {
                self.lost_of_strangers += 1;
            }
        }
    }

    fn look(&mut self) {
        let now = Clock.now();
        self.world.identify(&self.ears);
        let mut judged: Vec<Judged> = Vec::new();
        self.passive
            .pass(&mut self.ears, &self.world, now, |one| judged.push(one));
        let wall = Wall {
            now,
            timestamp: jiff::Timestamp::now(),
        };
        self.board.take(&judged, wall);
    }

    fn tidy(&mut self) {
        let now = Clock.now();
        self.world.tidy(now);
        self.ears.tidy();
        self.board.set_status(self.status(now));
    }

    fn status(&self, now: KernelTime) -> Status {
        let trust = self.world.trust(now);
        let bus = (self.bus)()
            .err()
            .map(|why| format!("the bus is not there: {why}"));
        let state = self.world.state();
        let followed = self.world.followed();
        let mut status = Status {
            not_ready: trust.awaited.clone().or(bus),
            doubts: trust.stale.into_iter().chain(trust.ends_unknown).collect(),
            watch_ages: followed
                .standings()
                .filter_map(|(kind, standing)| {
                    Some((kind.as_str(), now.since(standing.heard()?).as_secs_f64()))
                })
                .collect(),
            pending: self.passive.pending() as u64,
            tracked: self.ears.tracker().len() as u64,
            not_judged: self.passive.not_judged(),
            policies: state.policy_count() as u64,
            pods: state.pods().len() as u64,
            strangers: self.world.identity().strangers.len() as u64,
            lost: self.lost(),
            ..Status::default()
        };
        for (name, _, node) in self.ears.tracker().nodes().all() {
            let is_live = node.heard_at().is_some_and(|heard| now.since(heard) <= STALE);
            if is_live {
                status.sensors_live += 1;
            } else if state.nodes().len() == 0 || state.node(name).is_some() {
                // One whose node is no more is nobody's concern.
                status.sensors_stale += 1;
            }
        }
        status.interfaces = [("watched", 0), ("failed", 0)].into();
        for (_, _, interface) in self.ears.interfaces() {
            let word = match interface.state {
                InterfaceState::Watched { .. } => "watched",
                InterfaceState::Failed { .. } => "failed",
                InterfaceState::Gone { .. } => continue,
            };
            *status.interfaces.entry(word).or_default() += 1;
        }
        status
    }

    /// Records that were lost, by where.
    fn lost(&self) -> BTreeMap<&'static str, u64> {
        let mut lost: BTreeMap<&'static str, u64> = [
            ("kernel", 0),
            ("sensor", 0),
            ("bus", 0),
            ("verifier", self.ears.damaged() + self.lost_of_strangers),
        ]
        .into();
        for (_, _, node) in self.ears.tracker().nodes().all() {
            let totals = node.losses().latest();
            let kernel: u64 = totals.by_netns.values().sum::<u64>() + totals.unplaced;
            *lost.entry("kernel").or_default() += kernel;
            *lost.entry("sensor").or_default() += totals.not_published;
            *lost.entry("bus").or_default() += node.losses().missing_batches();
        }
        lost
    }
}
