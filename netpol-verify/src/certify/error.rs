//! Why a cluster could not be certified. None of these is a verdict.

use std::time::Duration;

use crate::{
    bus::nats::NatsError,
    causes::causes,
    cluster::LiveError,
    suite::{RecordError, ScenarioError, SelectionError},
    verifier::ProbingError,
};

/// A cluster could not be certified.
#[derive(Debug, thiserror::Error)]
pub enum CertifyError {
    /// It cannot be reached or read.
    #[error(transparent)]
    Live(#[from] Box<LiveError>),
    /// The suite cannot be read.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// No case is left to play.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// Results cannot be kept or taken up again.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The API server refuses something.
    #[error("{server}: cannot {step} {what}: {said}{}", remedy(*.code, .step, .what))]
    Api {
        /// The server.
        server: String,
        /// The verb.
        step: &'static str,
        /// The object.
        what: String,
        /// The HTTP status; 0 where none came.
        code: u16,
        /// What the server said.
        said: String,
    },
    /// A manifest of ours is broken.
    #[error("a manifest of this program cannot be used: {cause}; this is a bug")]
    Manifest {
        /// Why.
        cause: String,
    },
    /// Something did not come about in time.
    #[error("waited {} s for {what}: {state}", .patience.as_secs())]
    Waited {
        /// What was waited for.
        what: String,
        /// How long.
        patience: Duration,
        /// How it stood at the end.
        state: String,
    },
    /// Another run is at work.
    #[error(
        "{holder} has been certifying this cluster since {since}; wait for it, or, when it is gone for good, for its lease to end ({seconds} s after its last sign of life)"
    )]
    Held {
        /// Who.
        holder: String,
        /// Since when.
        since: String,
        /// The lease's length.
        seconds: i64,
    },
    /// Our own lease was taken over: somebody thought us dead.
    #[error("the lease of this run was lost: {cause}; its results would not be its own")]
    LeaseLost {
        /// How.
        cause: String,
    },
    /// No node can take pods.
    #[error("no node is ready and takes pods: see `kubectl get nodes`")]
    NoNode,
    /// Nothing that enforces can be started anew.
    #[error(
        "--disruptive restarts the CNI's DaemonSet, and {why}; name the one that enforces as --disruptive=NAMESPACE/NAME, or leave the flag out"
    )]
    NoAgents {
        /// Why not.
        why: String,
    },
    /// Nothing is left to play.
    #[error("every chosen case restarts the CNI's DaemonSet; say by --disruptive that it may be")]
    OnlyDisruptive,
    /// Nothing to be probed is selected.
    #[error(
        "no pod that can be probed is in {place} ({pods} selected: over, not running, or on their nodes' network); choose others with -n, -A or -l"
    )]
    NoPod {
        /// What is selected.
        place: String,
        /// How many pods that are.
        pods: usize,
    },
    /// The way to NATS inside the cluster.
    #[error("reaching NATS in the cluster through the API server: {cause}")]
    Tunnel {
        /// Why not.
        cause: String,
    },
    /// NATS itself.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// Probing.
    #[error(transparent)]
    Probing(#[from] ProbingError),
    /// Sensors that do not say anything.
    #[error("no sensor is heard on {}: see `kubectl -n netpol-verify get pods -o wide`, and `kubectl logs` of the sensor there", .nodes.join(", "))]
    Deaf {
        /// The nodes.
        nodes: Vec<String>,
    },
    /// Interrupted.
    #[error("interrupted; everything that was made is removed")]
    Interrupted,
    /// Something that was made could not be removed.
    #[error(
        "{left} could not be removed: {cause}; the next `certify` removes it, or `kubectl delete ns -l netpol-verify.io/run`"
    )]
    Left {
        /// What.
        left: String,
        /// Why.
        cause: String,
    },
    /// This machine.
    #[error("{what}: {source}")]
    Io {
        /// The step.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

impl From<LiveError> for CertifyError {
    fn from(error: LiveError) -> Self {
        Self::Live(Box::new(error))
    }
}

impl CertifyError {
    pub(super) fn api(server: String, step: &'static str, what: String, error: &kube::Error) -> Self {
        let (code, said) = match error {
            kube::Error::Api(status) => (status.code, status.message.clone()),
            other => (0, causes(other)),
        };
        Self::Api {
            server,
            step,
            what,
            code,
            said: said.chars().take(400).collect(),
        }
    }
}

fn remedy(code: u16, step: &str, what: &str) -> String {
    match code {
        403 => {
            let kind = what.split(' ').next().unwrap_or(what).to_ascii_lowercase();
            let verb = if step == "apply" { "patch" } else { step };
            format!(
                " (check with `kubectl auth can-i {verb} {kind}s -A`; certifying makes namespaces, pods and policies and needs an administrator's rights, or give --existing)"
            )
        }
        _ => String::new(),
    }
}
