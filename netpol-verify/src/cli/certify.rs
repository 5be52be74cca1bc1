//! `certify`: what a cluster's CNI really enforces.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    exit::{Exit, fail},
    options::{Output, OutputOptions},
    stream::{complain, say, style},
};
use crate::{
    certify::{CertifyError, Images, Request, certify},
    cluster::{Access, LiveCluster},
    report::{self, Run},
    suite::{Scenario, ScenarioError},
};

/// What a cluster's CNI really enforces.
#[derive(Args, Clone, Debug)]
pub(super) struct CertifyOptions {
    /// `guide`, `guide-corrected`, or a folder of manifests.
    #[arg(long, default_value = "guide")]
    suite: String,
    /// The kubeconfig, as for kubectl.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Its context.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// What the report calls the CNI; without it the CNI is known by its DaemonSet.
    #[arg(long, value_name = "NAME")]
    cni: Option<String>,
    /// On how many nodes pods are placed.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: u16,
    /// Seconds that a change of policies may take to be enforced before it counts against the CNI.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    settle: u64,
    /// Another image for sensors and pods.
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Another image for NATS.
    #[arg(long, value_name = "IMAGE")]
    nats_image: Option<String>,
    /// When images are pulled; `Never` where they were loaded into the nodes.
    #[arg(long, value_name = "POLICY")]
    image_pull_policy: Option<String>,
    /// Leave sensors and NATS in the cluster where this run has installed them.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    print: OutputOptions,
}

#[derive(Debug, thiserror::Error)]
enum CertifyCommandError {
    #[error(transparent)]
    Certify(#[from] CertifyError),
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error("starting the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("writing the report as JSON: {0}")]
    Json(#[source] serde_json::Error),
    #[error("writing to standard output: {0}")]
    Output(#[from] io::Error),
}

/// Certifies, prints, and gives the exit code.
pub(super) fn main(options: &CertifyOptions) -> ExitCode {
    match run(options) {
        Ok(run) => run.exit_code().into(),
        Err(error @ CertifyCommandError::Scenario(_)) => fail(Exit::Usage, &error),
        Err(error) => fail(Exit::Environment, &error),
    }
}

fn run(options: &CertifyOptions) -> Result<Run, CertifyCommandError> {
    let request = Request {
        scenario: Scenario::load(&options.suite)?,
        suite: options.suite.clone(),
        cni: options.cni.clone(),
        images: Images {
            ours: options.image.clone(),
            nats: options.nats_image.clone(),
            pull_policy: options.image_pull_policy.clone(),
        },
        nodes: usize::from(options.nodes),
        settle: Duration::from_secs(options.settle),
        keep: options.keep,
    };
    let access = Access {
        kubeconfig: options.kubeconfig.clone(),
        context: options.context.clone(),
        request_timeout: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(CertifyCommandError::Runtime)?;
    let run = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(CertifyCommandError::Runtime)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(CertifyCommandError::Runtime)?;
        let stop = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        let live = LiveCluster::find(&access).await.map_err(CertifyError::from)?;
        let progress = Progress::new();
        let run = certify(&live, &request, &|step| progress.say(step), stop).await;
        progress.end();
        Ok::<_, CertifyCommandError>(run?)
    })?;
    let text = match options.print.output {
        Output::Json => report::json(&run).map_err(CertifyCommandError::Json)?,
        Output::Table => report::table(&run, style()),
    };
    say(&text)?;
    Ok(run)
}

/// A spinner on a terminal, a line for each step in a pipe.
struct Progress(Option<ProgressBar>);

impl Progress {
    fn new() -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(Some(bar))
    }

    fn say(&self, step: &str) {
        match &self.0 {
            Some(bar) => bar.set_message(report::escape(step).to_string()),
            None => complain(step),
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
