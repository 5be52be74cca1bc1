//! A sensor over a pair of pods that speaks through NATS, as on a node: on a thread of its own, until it is dropped.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use netpol_verify::{
    bus::nats::{Nats, NatsAccess, NatsAsks, NatsBus, Question, QueueLimits},
    kernel::KernelFacts,
    lab::Netns,
    sensor::{Mode, Options, Pods, Sensor},
};
use tokio::sync::oneshot;

use crate::Pair;

/// A sensor on a node of that name.
pub struct Outpost {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Outpost {
    /// Starts it in a namespace from which NATS is reached; it watches both pods.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(node: &str, place: Netns, pair: &Pair, nats: NatsAccess) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (started, wait) = std::sync::mpsc::channel();
        let names = [pair.name("a"), pair.name("b")];
        let node = node.to_owned();
        let thread = thread::spawn(move || {
            let done = place.run(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(watch(&node, names, &nats, stopped, || {
                    let _ = started.send(());
                }))
            });
            if let Err(error) = done.map_err(anyhow::Error::from).and_then(|done| done) {
                eprintln!("the outpost {node}: {error:#}");
            }
        });
        // A sensor that fails hangs up.
        wait.recv().context("the sensor did not start")?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

async fn watch(
    node: &str,
    names: [String; 2],
    nats: &NatsAccess,
    mut stopped: oneshot::Receiver<()>,
    started: impl FnOnce(),
) -> Result<()> {
    let nats = Nats::connect(nats).await?;
    let bus = Arc::new(NatsBus::start(nats.clone(), QueueLimits::default()));
    let mut asks = NatsAsks::listen(&nats, node).await?;
    let pods = Pods::Named(Arc::new(move |name: &str| names.iter().any(|own| own == name)));
    let options = Options {
        heartbeat: Some(Duration::from_secs(1)),
        ..Options::default()
    };
    let facts = KernelFacts::of_kernel();
    let sensor = Sensor::start_with(&facts, Mode::Passive, node.into(), bus, pods, options).await?;
    let sensor = Arc::new(sensor);
    started();
    loop {
        tokio::select! {
            _ = &mut stopped => return Ok(()),
            question = asks.next() => match question {
                None => return Ok(()),
                Some(Question::Call { verifier, now }) => sensor.hear(&verifier, now).await,
                Some(Question::Ask(ask, responder)) => {
                    let sensor = sensor.clone();
                    tokio::spawn(async move { responder.answer(sensor.answer(ask).await).await });
                }
            },
        }
    }
}

impl Drop for Outpost {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
