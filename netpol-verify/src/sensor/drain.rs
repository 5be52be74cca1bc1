//! From the ring to the bus: untouched records in batches, heartbeats, and every loss.

use std::{io, sync::Arc, time::Duration};

use aya::maps::{MapData, RingBuf};
use bytes::{Bytes, BytesMut};
use netpol_verify_ebpf::{RECORD_SIZE, settings::counter};
use tokio::{
    io::unix::AsyncFd,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{
    object::{FlushLog, Maps},
    sys::pollable,
};
use crate::{
    bus::{Batch, Bus, LossTotals, Message, NodeName},
    net::{Clock, KernelTime, NetnsCookie},
};

/// Records a batch holds at most.
const BATCH: usize = 4096;
/// How often the sensor proves that it is alive.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// A program that has taken the time may not have written its record yet when the ring looks empty; nothing runs
/// longer than this between the two, even where a virtual CPU is taken away.
const IN_WRITING: Duration = Duration::from_millis(5);

/// Drains the ring until it is dropped.
pub struct Drain {
    task: JoinHandle<()>,
}

/// What a running drain can be asked for.
struct Request {
    heartbeat: bool,
    done: oneshot::Sender<KernelTime>,
}

/// Asks a running drain to empty the ring at once.
#[derive(Clone)]
pub struct DrainHandle(mpsc::Sender<Request>);

impl DrainHandle {
    /// Empties the ring now and publishes a heartbeat; tells its `drained_at`, or `None` when the drain has ended.
    pub async fn sync(&self) -> Option<KernelTime> {
        self.ask(true).await
    }

    /// Publishes what is in the ring now, without the cost of reading the losses; the proof comes with a heartbeat.
    pub async fn flush(&self) -> Option<KernelTime> {
        self.ask(false).await
    }

    async fn ask(&self, heartbeat: bool) -> Option<KernelTime> {
        let (done, answer) = oneshot::channel();
        self.0.send(Request { heartbeat, done }).await.ok()?;
        answer.await.ok()
    }
}

impl Drain {
    /// Starts to drain.
    ///
    /// # Errors
    /// The ring cannot be polled.
    pub(super) fn start(maps: Maps, node: NodeName, bus: Arc<dyn Bus>) -> io::Result<(Self, DrainHandle)> {
        let (requests, inbox) = mpsc::channel(16);
        let Maps {
            flush_log,
            records,
            counters,
            losses,
        } = maps;
        let mut drainer = Drainer {
            flush_log,
            node,
            bus,
            counters,
            losses,
            sequence: 0,
            drained_at: KernelTime(0),
            totals: LossTotals::default(),
        };
        let ring = pollable(records)?;
        let task = tokio::spawn(async move { drainer.run(ring, inbox).await });
        Ok((Self { task }, DrainHandle(requests)))
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Drainer {
    flush_log: Option<FlushLog>,
    node: NodeName,
    bus: Arc<dyn Bus>,
    counters: aya::maps::PerCpuArray<MapData, u64>,
    losses: aya::maps::PerCpuHashMap<MapData, u64, super::sys::LossesValue>,
    sequence: u64,
    drained_at: KernelTime,
    totals: LossTotals,
}

impl Drainer {
    async fn run(&mut self, mut ring: AsyncFd<RingBuf<MapData>>, mut requests: mpsc::Receiver<Request>) {
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                request = requests.recv() => {
                    let Some(request) = request else { return };
                    if request.heartbeat {
                        self.heartbeat(ring.get_mut());
                    } else {
                        self.drain(ring.get_mut());
                    }
                    // Whoever asked may have gone.
                    let _ = request.done.send(self.drained_at);
                }
                guard = ring.readable_mut() => match guard {
                    Ok(mut guard) => {
                        self.drain(guard.get_inner_mut());
                        guard.clear_ready();
                    }
                    Err(error) => {
                        tracing::error!(%error, "The ring buffer cannot be polled any more.");
                        return;
                    }
                },
                _ = heartbeat.tick() => self.heartbeat(ring.get_mut()),
            }
        }
    }

    /// Publishes what is in the ring.
    fn drain(&mut self, ring: &mut RingBuf<MapData>) {
        if let Some(flush) = &mut self.flush_log {
            flush();
        }
        let mut batch = BytesMut::new();
        while let Some(record) = ring.next() {
            batch.extend_from_slice(&record);
            if batch.len() >= BATCH * RECORD_SIZE {
                self.publish(batch.split().freeze());
            }
        }
        if !batch.is_empty() {
            self.publish(batch.freeze());
        }
    }

    /// Empties the ring, reads the losses, and says so.
    fn heartbeat(&mut self, ring: &mut RingBuf<MapData>) {
        let before = Clock.now();
        self.drain(ring);
        self.read_losses();
        self.drained_at = KernelTime(
            before
                .0
                .saturating_sub(u64::try_from(IN_WRITING.as_nanos()).unwrap_or(0)),
        );
        self.publish(Bytes::new());
    }

    fn publish(&mut self, records: Bytes) {
        self.sequence += 1;
        let batch = Batch {
            node: self.node.clone(),
            sequence: self.sequence,
            records,
            drained_at: self.drained_at,
            losses: self.totals.clone(),
        };
        if let Err(rejected) = self.bus.publish(Message::Batch(batch)) {
            let lost = match *rejected.message {
                Message::Batch(batch) => batch.len(),
                Message::Announcement(_) => 0,
            };
            self.totals.not_published += u64::try_from(lost).unwrap_or(u64::MAX);
        }
    }

    fn read_losses(&mut self) {
        self.totals.counters = (0..counter::COUNT)
            .map(|index| {
                self.counters
                    .get(&index, 0)
                    .map_or(0, |per_cpu| per_cpu.iter().sum())
            })
            .collect();
        let lost = |index: u32| self.totals.counters.get(index as usize).copied().unwrap_or(0);
        if lost(counter::RING_FULL) + lost(counter::THROTTLED) > 0 {
            self.totals.by_netns = self
                .losses
                .iter()
                .filter_map(Result::ok)
                .map(|(cookie, per_cpu)| {
                    let sum = per_cpu
                        .iter()
                        .map(|losses| losses.0.ring_full + losses.0.throttled)
                        .sum();
                    (NetnsCookie(cookie), sum)
                })
                .collect();
        }
        self.totals.unplaced = lost(counter::UNATTRIBUTED) + self.totals.not_published;
        self.totals.read_at = Clock.now();
    }
}
