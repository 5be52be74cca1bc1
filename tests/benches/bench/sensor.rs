//! What a node's sensor holds, uses and sends: the real process, real connections, a real NATS server.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use netpol_verify::{
    bus::{
        Inbox as _, InterfaceState, LossTotals, Message,
        nats::{Nats, NatsInbox, Role, Start, StreamLimits},
    },
    net::KernelTime,
};
use netpol_verify_ebpf::settings::counter;
use netpol_verify_tests::{Container, NatsServer, Node, Pair, Setup};
use tokio::runtime::Runtime;

use crate::{
    process::{Process, until},
    storm::Storm,
};

/// New connections a second, and to how many addresses: one (everything is folded), some, and each another.
const RUNGS: [(u32, u32); 7] = [
    (0, 1),
    (1_000, 1),
    (1_000, 100),
    (1_000, 60_000),
    (20_000, 1),
    (20_000, 100),
    (20_000, 60_000),
];
/// How long a rung lasts before it is measured, and how long it is.
const BEFORE: Duration = Duration::from_secs(2);
const SPAN: Duration = Duration::from_secs(10);

/// What came over the bus.
#[derive(Clone, Default)]
struct Heard {
    watched: usize,
    records: u64,
    losses: LossTotals,
}

/// One moment of everything that is counted.
struct Moment {
    at: Instant,
    used: f64,
    opened: u64,
    heard: Heard,
    stored_bytes: f64,
    stored_frames: f64,
}

/// The whole of it. Dropped in this order.
struct Stage {
    _runtime: Runtime,
    sensor: Process,
    storm: Storm,
    heard: Arc<Mutex<Heard>>,
    nats: NatsServer,
    _pods: [Container; 2],
    _node: Node,
    _pair: Pair,
}

pub(crate) fn run() -> Result<()> {
    let setup = Setup {
        figures: true,
        ..Setup::default()
    };
    let Some(nats) = NatsServer::start_with("the sensor's figures", setup)? else {
        return Ok(());
    };
    let stage = Stage::build(nats)?;
    println!(
        "\nsensor: the process itself, passive, two pods; TCP connections from one to the other, opened and closed; {} s each",
        SPAN.as_secs()
    );
    println!(
        "  programs run in the connections' own time, not in the sensor's; bytes are what JetStream stores, with heartbeats"
    );
    println!(
        "  {:>7} {:>7} {:>9} | {:>7} {:>7} {:>7} | {:>9} {:>9} {:>8} {:>8} | {:>9} {:>9} {:>9}",
        "asked/s",
        "opened",
        "addresses",
        "RSS MiB",
        "anon",
        "CPU",
        "records/s",
        "frames/s",
        "KiB/s",
        "B/conn",
        "folded/s",
        "throttled",
        "lost"
    );
    for (rate, addresses) in RUNGS {
        stage.rung(rate, addresses)?;
    }
    let memory = stage.sensor.memory()?;
    println!("  the most that it ever held: {:.1} MiB", memory.peak);
    Ok(())
}

impl Stage {
    fn build(nats: NatsServer) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        // Who reads makes the stream.
        runtime.block_on(listen(&nats, heard.clone()))?;
        let (pair, node) = (Pair::new()?, Node::new()?);
        let storm = Storm::prepare(&pair)?;
        let pod = |number, role| node.start_pod(&node.uid(number), Some(&pair.path(role)));
        let pods = [pod(1, "a")?, pod(2, "b")?];
        let sensor = Process::sensor("bench", &node, &nats)?;
        until("both pods are watched", || Ok(lock(&heard).watched >= 2))
            .with_context(|| std::fs::read_to_string(nats.folder().join("sensor.log")).unwrap_or_default())?;
        Ok(Self {
            _runtime: runtime,
            sensor,
            storm,
            heard,
            nats,
            _pods: pods,
            _node: node,
            _pair: pair,
        })
    }

    fn rung(&self, rate: u32, addresses: u32) -> Result<()> {
        self.storm.set(rate, addresses);
        thread::sleep(BEFORE);
        let before = self.moment()?;
        thread::sleep(SPAN);
        let after = self.moment()?;
        let memory = self.sensor.memory()?;
        self.storm.set(0, 1);
        let seconds = (after.at - before.at).as_secs_f64();
        let opened = (after.opened - before.opened) as f64;
        let bytes = after.stored_bytes - before.stored_bytes;
        let counted = |index: u32| {
            let of = |moment: &Moment| moment.heard.losses.counters.get(index as usize).copied();
            of(&after).unwrap_or(0) - of(&before).unwrap_or(0)
        };
        let lost = counted(counter::RING_FULL) + after.heard.losses.not_published
            - before.heard.losses.not_published;
        println!(
            "  {rate:>7} {:>7.0} {addresses:>9} | {:>7.1} {:>7.1} {:>7.4} | {:>9.0} {:>9.1} {:>8.1} {:>8} | {:>9.0} {:>9.0} {lost:>9}",
            opened / seconds,
            memory.resident,
            memory.own,
            (after.used - before.used) / seconds,
            (after.heard.records - before.heard.records) as f64 / seconds,
            (after.stored_frames - before.stored_frames) / seconds,
            bytes / seconds / 1024.0,
            if opened > 0.0 {
                format!("{:.1}", bytes / opened)
            } else {
                "-".to_owned()
            },
            counted(counter::FOLDED) as f64 / seconds,
            counted(counter::THROTTLED) as f64 / seconds,
        );
        Ok(())
    }

    /// Right behind a heartbeat, so that all of a second is counted or nothing of it.
    fn moment(&self) -> Result<Moment> {
        let read_at = || lock(&self.heard).losses.read_at;
        let before: KernelTime = read_at();
        until("a heartbeat", || Ok(read_at() > before))?;
        let stored = self.nats.figures("/jsz")?;
        let figure = |name: &str| stored[name].as_f64().with_context(|| format!("no {name}"));
        Ok(Moment {
            at: Instant::now(),
            used: self.sensor.used()?,
            opened: self.storm.opened(),
            heard: lock(&self.heard).clone(),
            stored_bytes: figure("bytes")?,
            stored_frames: figure("messages")?,
        })
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(nats: &NatsServer, heard: Arc<Mutex<Heard>>) -> Result<()> {
    let connection = Nats::connect(&nats.access(Role::Verifier)).await?;
    let mut inbox = NatsInbox::open(connection, StreamLimits::default(), Start::Now);
    inbox.attached().await;
    tokio::spawn(async move {
        while let Some(message) = inbox.receive().await {
            let mut heard = lock(&heard);
            match message {
                Message::Batch(batch) => {
                    heard.records += batch.len() as u64;
                    if batch.is_empty() {
                        heard.losses = (*batch.losses).clone();
                    }
                }
                Message::Announcement(told) => {
                    heard.watched +=
                        usize::from(matches!(told.interface.state, InterfaceState::Watched { .. }));
                }
                Message::Roster(_) | Message::Node(_) => {}
            }
        }
    });
    Ok(())
}
