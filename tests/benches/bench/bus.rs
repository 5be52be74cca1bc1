//! What NATS carries: bytes and messages a second, the way from sensor to verifier, and what several verifiers cost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use netpol_verify::{
    bus::{
        Batch, Bus as _, Inbox as _, Message, Origin,
        nats::{Nats, NatsBus, NatsInbox, QueueLimits, Role, Start, StreamLimits},
    },
    net::KernelTime,
};
use netpol_verify_ebpf::RECORD_SIZE;
use netpol_verify_tests::{NatsServer, Setup};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    process::{memory, used},
    spread::Spread,
};

/// What is carried: records of a batch, batches, senders. No records make a heartbeat.
const LOADS: [(usize, u64, usize); 5] = [
    (64, 8_000, 1),
    (4_096, 150, 1),
    (0, 100_000, 1),
    (64, 8_000, 16),
    (0, 100_000, 16),
];
const READERS: [usize; 3] = [1, 2, 4];
/// Nodes that each say one thing at a time, as in a cluster, where none has more to say than a heartbeat.
const NODES: usize = 64;
const ROUNDS: u64 = 100;
/// Messages whose way is measured, and how far apart.
const WAYS: u64 = 2_000;
const APART: Duration = Duration::from_millis(2);
/// Nothing of a load is thrown away before it is read.
const KEPT: StreamLimits = StreamLimits {
    bytes: 400 << 20,
    age: Duration::from_secs(600),
};

/// A verifier's ear: how many messages it has read.
struct Ear(Arc<AtomicU64>);

pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    println!(
        "\nbus: sensors, NATS with TLS and verifiers on this machine; records of {RECORD_SIZE} bytes; everybody reads everything"
    );
    println!(
        "  {:>8} {:>8} {:>8} | {:>11} {:>9} {:>9} | {:>9} {:>9} {:>9} {:>9}",
        "records",
        "senders",
        "readers",
        "messages/s",
        "MB/s",
        "frames/s",
        "MB in",
        "MB out",
        "NATS CPU",
        "NATS MiB"
    );
    for load in LOADS {
        for readers in READERS {
            runtime.block_on(carry(load, readers))?;
        }
    }
    runtime.block_on(nodes())?;
    runtime.block_on(ways())
}

fn server() -> Result<Option<NatsServer>> {
    let setup = Setup {
        figures: true,
        ..Setup::default()
    };
    NatsServer::start_with("the bus's figures", setup)
}

async fn sender(nats: &NatsServer) -> Result<NatsBus> {
    let connection = Nats::connect(&nats.access(Role::Sensor)).await?;
    Ok(NatsBus::start(connection, QueueLimits::default()))
}

async fn ear(nats: &NatsServer, each: Option<UnboundedSender<Instant>>) -> Result<Ear> {
    let connection = Nats::connect(&nats.access(Role::Verifier)).await?;
    let mut inbox = NatsInbox::open(connection, KEPT, Start::Now);
    inbox.attached().await;
    let read = Arc::new(AtomicU64::new(0));
    let count = read.clone();
    tokio::spawn(async move {
        while inbox.receive().await.is_some() {
            count.fetch_add(1, Ordering::Relaxed);
            if let Some(each) = &each {
                // Whoever measures may be done.
                let _ = each.send(Instant::now());
            }
        }
    });
    Ok(Ear(read))
}

fn batch(node: usize, sequence: u64, records: &Bytes) -> Message {
    Message::Batch(Batch {
        origin: Origin {
            node: format!("node-{node}").into(),
            session: 1,
        },
        sequence,
        records: records.clone(),
        drained_at: KernelTime(sequence),
        losses: Arc::default(),
        functions: Default::default(),
        heard: Vec::new(),
    })
}

/// Bytes that look like records: addresses and times differ, most is alike.
fn records(count: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(7);
    (0..count * RECORD_SIZE)
        .map(|at| if at % 8 == 0 { random.u8(..) } else { 0 })
        .collect()
}

async fn carry((length, messages, senders): (usize, u64, usize), readers: usize) -> Result<()> {
    let Some(nats) = server()? else { return Ok(()) };
    let mut ears = Vec::new();
    for _ in 0..readers {
        ears.push(ear(&nats, None).await?);
    }
    let mut buses = Vec::new();
    for _ in 0..senders {
        buses.push(sender(&nats).await?);
    }
    let body = records(length);
    let pid = nats.pid().context("it has ended")?;
    let (cpu, started) = (used(pid)?, Instant::now());
    for sequence in 0..messages {
        let node = usize::try_from(sequence)? % senders;
        let bus = buses.get(node).context("a sender")?;
        // A sensor would count a loss; here, the next place in the queue is waited for.
        while bus.publish(batch(node, sequence, &body)).is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    for ear in &ears {
        while ear.0.load(Ordering::Relaxed) < messages {
            ensure!(
                started.elapsed() < Duration::from_secs(120),
                "not everything is read"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let (figures, stored) = (nats.figures("/varz")?, nats.figures("/jsz")?);
    let figure = |value: &serde_json::Value| value.as_f64().unwrap_or(f64::NAN);
    println!(
        "  {length:>8} {senders:>8} {readers:>8} | {:>11.0} {:>9.1} {:>9.0} | {:>9.1} {:>9.1} {:>9.2} {:>9.1}",
        messages as f64 / seconds,
        messages as f64 * body.len() as f64 / 1e6 / seconds,
        figure(&stored["messages"]) / seconds,
        figure(&figures["in_bytes"]) / 1e6,
        figure(&figures["out_bytes"]) / 1e6,
        (used(pid)? - cpu) / seconds,
        memory(pid)?.resident,
    );
    Ok(())
}

/// Many nodes with a heartbeat each: nothing travels together.
async fn nodes() -> Result<()> {
    let Some(nats) = server()? else { return Ok(()) };
    let ear = ear(&nats, None).await?;
    let mut buses = Vec::new();
    for _ in 0..NODES {
        buses.push(sender(&nats).await?);
    }
    let pid = nats.pid().context("it has ended")?;
    let before = nats.figures("/jsz")?["bytes"].as_f64().unwrap_or(0.0);
    let (cpu, started) = (used(pid)?, Instant::now());
    let mut running = tokio::task::JoinSet::new();
    for (node, bus) in buses.into_iter().enumerate() {
        running.spawn(async move {
            for sequence in 0..ROUNDS {
                // The queue is empty: it is taken.
                let _ = bus.publish(batch(node, sequence, &Bytes::new()));
                bus.flushed().await;
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done?;
    }
    let all = NODES as u64 * ROUNDS;
    while ear.0.load(Ordering::Relaxed) < all {
        ensure!(
            started.elapsed() < Duration::from_secs(120),
            "not everything is read"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    let after = nats.figures("/jsz")?["bytes"].as_f64().unwrap_or(f64::NAN);
    let cpu = used(pid)? - cpu;
    println!(
        "  {NODES} nodes, one heartbeat at a time each, stored and read: {:.0}/s; {:.0} bytes each; NATS {:.2} CPU, {:.0} µs each",
        all as f64 / seconds,
        (after - before) / all as f64,
        cpu / seconds,
        cpu * 1e6 / all as f64
    );
    Ok(())
}

/// From the call that publishes to the moment that a verifier has it.
async fn ways() -> Result<()> {
    println!("  from publish to receive, {WAYS} messages {APART:?} apart, µs:");
    for length in [0, 64, 4_096] {
        let Some(nats) = server()? else { return Ok(()) };
        let (each, mut came): (_, UnboundedReceiver<Instant>) = unbounded_channel();
        let _ear = ear(&nats, Some(each)).await?;
        let bus = sender(&nats).await?;
        let body = records(length);
        // The stream keeps no more than its limit; a large batch is measured less often.
        let count = if length > 1_000 { WAYS / 10 } else { WAYS };
        let mut micros = Vec::new();
        for sequence in 0..count {
            let sent = Instant::now();
            let _ = bus.publish(batch(0, sequence, &body));
            let came = came.recv().await.context("the reader has ended")?;
            micros.push((came - sent).as_secs_f64() * 1e6);
            tokio::time::sleep(APART).await;
        }
        let spread = Spread::of(micros);
        println!(
            "    {length:>5} records: median {:>7.0}, p99 {:>7.0}, most {:>7.0} ({})",
            spread.median(),
            spread.quantile(990),
            spread.quantile(1000),
            spread.len()
        );
    }
    Ok(())
}
