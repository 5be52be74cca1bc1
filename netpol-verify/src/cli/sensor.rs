//! `sensor`: one node's eyes, for as long as it runs.

use std::{io, path::PathBuf, pin::pin, process::ExitCode, sync::Arc, time::Duration};

use clap::Args;

use super::{
    exit::{Exit, fail},
    nats::NatsOptions,
    runtime::{self, told_to_end},
};
use crate::{
    bus::nats::{Nats, NatsAsks, NatsBus, NatsError, Question, QueueLimits, Role},
    kernel::KernelFacts,
    sensor::{ConfineError, Mode, Options, Pods, Roots, Sensor, SensorError, confine},
};

/// How often a sensor proves that it is alive where nobody waits for it.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long what is said last may take to leave.
const FAREWELL: Duration = Duration::from_secs(2);

/// One node's eyes.
#[derive(Args, Clone, Debug)]
pub(super) struct SensorOptions {
    #[command(flatten)]
    nats: NatsOptions,
    /// The node's name as the Kubernetes API knows it.
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    node: String,
    /// Where the node's processes are seen.
    #[arg(long, default_value = "/proc", value_name = "DIR")]
    proc: PathBuf,
    /// Where the node's named network namespaces are seen.
    #[arg(long, default_value = "/run/netns", value_name = "DIR")]
    netns: PathBuf,
    /// kubelet's part of the cgroup tree, where several kubelets share one machine and its process table.
    #[arg(long, value_name = "PATH")]
    cgroup_root: Option<String>,
    /// The ring buffer's size in MiB, a power of two. It is looked into ten times a second: 2 MiB are 100,000 records a second.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    ring_mib: u32,
}

#[derive(Debug, thiserror::Error)]
enum SensorCommandError {
    #[error(transparent)]
    Confine(#[from] ConfineError),
    #[error("starting the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Nats(#[from] NatsError),
    #[error(transparent)]
    Sensor(#[from] SensorError),
    #[error("the connection to NATS has ended for good")]
    BusGone,
}

/// Runs until it is told to end.
pub(super) fn main(options: &SensorOptions) -> ExitCode {
    match run(options) {
        Ok(()) => Exit::Good.into(),
        Err(error) => fail(Exit::Environment, &error),
    }
}

fn run(options: &SensorOptions) -> Result<(), SensorCommandError> {
    // Before the runtime starts threads: each has rights of its own.
    let notes = confine()?;
    runtime::run(serve(options, notes), SensorCommandError::Runtime)
}

async fn serve(options: &SensorOptions, notes: Vec<String>) -> Result<(), SensorCommandError> {
    let mut told = pin!(told_to_end().map_err(SensorCommandError::Runtime)?);
    let nats = Nats::connect(&options.nats.access(Role::Sensor)).await?;
    let bus = Arc::new(NatsBus::start(nats.clone(), QueueLimits::default()));
    let mut asks = NatsAsks::listen(&nats, &options.node).await?;
    let mut facts = KernelFacts::of_kernel();
    for note in &notes {
        tracing::warn!("{note}");
    }
    facts.notes.extend(notes);
    let pods = Pods::Kubernetes(Roots {
        proc: options.proc.clone(),
        netns: options.netns.clone(),
        cgroup: options.cgroup_root.clone(),
        ..Roots::default()
    });
    let choices = Options {
        ring_bytes: Some(options.ring_mib << 20),
        heartbeat: Some(HEARTBEAT),
        ..Options::default()
    };
    let sensor = Sensor::start_with(
        &facts,
        Mode::Passive,
        options.node.as_str().into(),
        bus.clone(),
        pods,
        choices,
    )
    .await?;
    let sensor = Arc::new(sensor);
    tracing::info!(node = %options.node, attachment = %sensor.attachment(), "The sensor watches.");
    loop {
        tokio::select! {
            question = asks.next() => match question {
                None => return Err(SensorCommandError::BusGone),
                Some(Question::Call { verifier, now }) => sensor.hear(&verifier, now).await,
                Some(Question::Ask(ask, responder)) => {
                    let sensor = sensor.clone();
                    tokio::spawn(async move { responder.answer(sensor.answer(ask).await).await });
                }
            },
            () = &mut told => break,
        }
    }
    // Interfaces are let go and said to be; what waits to be sent gets its chance.
    drop(sensor);
    let _ = tokio::time::timeout(FAREWELL, bus.flushed()).await;
    Ok(())
}
