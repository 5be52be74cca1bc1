//! From the ring to the bus: untouched records in batches, heartbeats, and every loss.

use std::{
    collections::BTreeMap,
    io,
    mem::offset_of,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
use bytes::{Bytes, BytesMut};
use netpol_verify_ebpf::{RECORD_SIZE, RecordHeader, settings::counter};
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
    bus::{Batch, Bus, Heard, LossTotals, Message, Origin},
    kernel::Symbols,
    net::{Clock, KernelTime, NetnsCookie},
};

/// Records a batch holds at most.
const BATCH: usize = 4096;
/// How often the sensor proves that it is alive, unless it is told otherwise.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// A program that has taken the time may not have written its record yet when the ring looks empty; nothing runs
/// longer than this between the two, even where a virtual CPU is taken away.
const IN_WRITING: Duration = Duration::from_millis(5);

/// How often the ring is looked into where heartbeats are rarer: what happens is told soon, and a small ring will do.
const POLL: Duration = Duration::from_millis(100);
/// Verifiers that call at once are few; of strangers' calls only the latest are kept.
const CALLERS: usize = 16;

/// What a drain shares with whoever else speaks for the sensor.
#[derive(Debug, Default)]
pub(super) struct Shared {
    heard: Mutex<Vec<Heard>>,
    /// Functions that records have named.
    functions: Mutex<BTreeMap<u64, String>>,
}

impl Shared {
    /// Notes a verifier's call; whether the verifier is new.
    pub(super) fn hear(&self, verifier: &str, called_at: KernelTime) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let before = heard.len();
        heard.retain(|call| call.verifier != verifier);
        let is_new = heard.len() == before;
        if heard.len() >= CALLERS {
            heard.remove(0);
        }
        heard.push(Heard {
            verifier: verifier.to_owned(),
            called_at,
            heard_at: Clock.now(),
        });
        is_new
    }

    /// Functions that records have named so far.
    pub(super) fn functions(&self) -> BTreeMap<u64, String> {
        self.functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

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
    pub(super) fn start(
        maps: Maps,
        origin: Origin,
        bus: Arc<dyn Bus>,
        shared: Arc<Shared>,
        heartbeat: Option<Duration>,
    ) -> io::Result<(Self, DrainHandle)> {
        let (requests, inbox) = mpsc::channel(16);
        let Maps {
            flush_log,
            records,
            counters,
            losses,
        } = maps;
        let mut drainer = Drainer {
            flush_log,
            origin,
            bus,
            shared,
            symbols: Symbols::of_kernel(),
            fresh: BTreeMap::new(),
            heartbeat: heartbeat.unwrap_or(HEARTBEAT),
            counters,
            losses,
            sequence: 0,
            drained_at: KernelTime(0),
            totals: Arc::default(),
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
    origin: Origin,
    bus: Arc<dyn Bus>,
    shared: Arc<Shared>,
    symbols: Symbols,
    /// Functions that the records read since the last batch name for the first time.
    fresh: BTreeMap<u64, String>,
    heartbeat: Duration,
    counters: aya::maps::PerCpuArray<MapData, u64>,
    losses: aya::maps::PerCpuHashMap<MapData, u64, super::sys::LossesValue>,
    sequence: u64,
    drained_at: KernelTime,
    totals: Arc<LossTotals>,
}

impl Drainer {
    async fn run(&mut self, mut ring: AsyncFd<RingBuf<MapData>>, mut requests: mpsc::Receiver<Request>) {
        let mut heartbeat = interval(self.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let is_polled = self.heartbeat > POLL;
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
                _ = poll.tick(), if is_polled => self.drain(ring.get_mut()),
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
            self.name_function(&record);
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
            origin: self.origin.clone(),
            sequence: self.sequence,
            records,
            drained_at: self.drained_at,
            losses: self.totals.clone(),
            functions: std::mem::take(&mut self.fresh),
            heard: self.shared.heard(),
        };
        if let Err(rejected) = self.bus.publish(Message::Batch(batch))
            && let Message::Batch(batch) = *rejected.message
        {
            let totals = Arc::make_mut(&mut self.totals);
            totals.not_published += u64::try_from(batch.len()).unwrap_or(u64::MAX);
            self.fresh = batch.functions;
        }
    }

    /// Looks up the function that freed a packet, the first time a record names it: addresses mean something on this node
    /// only.
    fn name_function(&mut self, record: &[u8]) {
        let at = offset_of!(RecordHeader, drop_location);
        let Some(Ok(address)) = record.get(at..at + 8).map(<[u8; 8]>::try_from) else {
            return;
        };
        let address = u64::from_ne_bytes(address);
        if address == 0 {
            return;
        }
        let mut known = self
            .shared
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.contains_key(&address) {
            return;
        }
        if let Some(name) = self.symbols.function(address) {
            known.insert(address, name.to_owned());
            self.fresh.insert(address, name.to_owned());
        }
    }

    fn read_losses(&mut self) {
        let mut totals = LossTotals {
            by_netns: self.totals.by_netns.clone(),
            not_published: self.totals.not_published,
            ..LossTotals::default()
        };
        totals.counters = (0..counter::COUNT)
            .map(|index| {
                self.counters
                    .get(&index, 0)
                    .map_or(0, |per_cpu| per_cpu.iter().sum())
            })
            .collect();
        let lost = |index: u32| totals.counters.get(index as usize).copied().unwrap_or(0);
        if lost(counter::RING_FULL) + lost(counter::THROTTLED) > 0 {
            totals.by_netns = self
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
        totals.unplaced = lost(counter::UNATTRIBUTED) + totals.not_published;
        totals.read_at = Clock.now();
        self.totals = Arc::new(totals);
    }
}
