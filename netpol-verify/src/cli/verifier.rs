//! `verifier`: what all sensors see, judged by the cluster's policies, for as long as it runs.

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Args;
use tokio::net::TcpListener;

use super::{
    exit::{Exit, fail},
    nats::NatsOptions,
    runtime::{self, told_to_end},
};
use crate::{
    bus::nats::{Nats, NatsError, NatsInbox, NatsSensors, Role, Start, StreamLimits},
    cluster::{Access, LiveCluster, LiveError},
    verifier::{Limits, Service, ServiceError, Share, serve},
};

/// How long a sensor may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// The cluster's verifier.
#[derive(Args, Clone, Debug)]
pub(super) struct VerifierOptions {
    #[command(flatten)]
    nats: NatsOptions,
    #[command(flatten)]
    pub(super) service: ServiceOptions,
    /// Read what sensors said so many seconds before the start, too: what a verifier that was started again has forgotten.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=600))]
    replay: u64,
    /// Which share of the attempts, where several verifiers share the work: I/N, as 0/3.
    #[arg(long, default_value_t = Share::ALL, value_name = "I/N")]
    partition: Share,
}

/// What every verifier is told.
#[derive(Args, Clone, Debug)]
pub(super) struct ServiceOptions {
    /// Where to serve figures and findings over HTTP.
    #[arg(long, default_value = "127.0.0.1:9464", value_name = "ADDR:PORT")]
    pub(super) listen: SocketAddr,
    /// How many seconds a change may take until it is enforced: until then what contradicts it is no violation.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=600))]
    pub(super) settle: u64,
    /// The kubeconfig; inside a pod its service account is taken.
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context.
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
}

impl ServiceOptions {
    pub(super) fn access(&self) -> Access {
        Access {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            request_timeout: None,
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            settle: Duration::from_secs(self.settle),
            ..Limits::default()
        }
    }
}

/// The verifier cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum VerifierError {
    #[error("starting the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("listening on {address}: {source}; --listen names another place")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Nats(#[from] NatsError),
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Runs until it is told to end.
pub(super) fn main(options: &VerifierOptions) -> ExitCode {
    match runtime::run(verify(options), VerifierError::Runtime) {
        Ok(()) => Exit::Good.into(),
        Err(error) => fail(Exit::Environment, &error),
    }
}

async fn verify(options: &VerifierOptions) -> Result<(), VerifierError> {
    let listener = listen(options.service.listen).await?;
    let cluster = LiveCluster::find(&options.service.access()).await?;
    let nats = Nats::connect(&options.nats.access(Role::Verifier)).await?;
    let start = match options.replay {
        0 => Start::Now,
        seconds => Start::Last(Duration::from_secs(seconds)),
    };
    let inbox = NatsInbox::open(nats.clone(), StreamLimits::default(), start);
    let sensors = Arc::new(NatsSensors::new(nats.clone(), ANSWER));
    // Calls of a verifier before this one, on another clock, must not be taken for ours.
    let name = format!("verifier-{:016x}", crate::random::random());
    let bus = Box::new(move || {
        let link = nats.link();
        match (link.connected, link.trouble) {
            (true, _) => Ok(()),
            (false, trouble) => Err(trouble.unwrap_or_else(|| "NATS does not answer".to_owned())),
        }
    });
    let limits = options.service.limits();
    let service = Service::new(Some(&name), options.partition, limits, sensors, inbox, bus);
    tracing::info!(listen = %options.service.listen, partition = %options.partition, server = cluster.server(), "The verifier runs.");
    serve_all(service, &cluster, listener).await
}

/// A listener there.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, VerifierError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| VerifierError::Listen { address, source })
}

/// Runs a service and shows what it finds, until a signal.
pub(super) async fn serve_all<S: crate::bus::Sensors>(
    service: Service<S>,
    cluster: &LiveCluster,
    listener: TcpListener,
) -> Result<(), VerifierError> {
    let told = told_to_end().map_err(VerifierError::Runtime)?;
    let address = listener.local_addr().map_err(VerifierError::Runtime)?;
    let board = service.board();
    let server = tokio::spawn(serve(listener, board));
    tokio::select! {
        ended = service.run(cluster, told) => Ok(ended?),
        served = server => {
            let source = match served {
                Ok(Ok(())) => io::Error::other("it ended by itself"),
                Ok(Err(error)) => error,
                Err(error) => io::Error::other(error),
            };
            Err(VerifierError::Listen { address, source })
        }
    }
}
