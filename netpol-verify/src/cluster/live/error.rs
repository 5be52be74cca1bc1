//! Why a cluster could not be read; each says what to do next.

use std::{error::Error, fmt, path::PathBuf, time::Duration};

use kube::client::AuthError;

use super::resource::Resource;

/// Servers and plugins choose what they say, and how long it is.
const MAX_SAID_CHARS: usize = 400;

/// A cluster could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    /// Neither a kubeconfig nor a pod's service account.
    #[error(
        "no kubeconfig: looked for {}; name one with --kubeconfig or KUBECONFIG, or give manifests with -f",
        shown(looked)
    )]
    NoKubeconfig {
        /// Where.
        looked: Vec<PathBuf>,
    },
    /// A kubeconfig that cannot be used.
    #[error("the kubeconfig {} cannot be used: {cause}", shown(files))]
    Kubeconfig {
        /// The files it is merged from.
        files: Vec<PathBuf>,
        /// Why.
        cause: String,
    },
    /// No context is chosen.
    #[error(
        "the kubeconfig has no current context; choose one with --context: {}",
        listed(known)
    )]
    NoContext {
        /// Those that it has.
        known: Vec<String>,
    },
    /// There is no context of that name.
    #[error("the kubeconfig has no context {name:?}; it has {}", listed(known))]
    UnknownContext {
        /// The name.
        name: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// A pod whose service account cannot be used.
    #[error(
        "this looks like a pod of a cluster, but its service account cannot be used: {cause}; mount one, or name a kubeconfig with --kubeconfig"
    )]
    InCluster {
        /// Why.
        cause: String,
    },
    /// The credentials cannot be had, before anything was asked.
    #[error(
        "no credentials for {server}: {cause}; `kubectl get namespaces` in the same context says the same"
    )]
    Credentials {
        /// The server.
        server: String,
        /// Why.
        cause: String,
    },
    /// Nobody there who speaks TLS as the kubeconfig expects.
    #[error("cannot connect to {server}: {cause}; does `kubectl version` in the same context reach it?")]
    Unreachable {
        /// The server.
        server: String,
        /// Why.
        cause: String,
    },
    /// The server does not know who asks.
    #[error(
        "{server} does not accept the credentials (401): {said}; log in again, or choose another context"
    )]
    Unauthorized {
        /// The server.
        server: String,
        /// Its words.
        said: String,
    },
    /// The server knows who asks and does not let them.
    #[error(
        "RBAC lacks {}; {server} says: {said}. Check with {}; a ClusterRole needs {}",
        joined(denied, ToString::to_string),
        joined(denied, |one| format!("`{}`", one.check())),
        joined(denied, Denied::rule)
    )]
    Forbidden {
        /// The server.
        server: String,
        /// What may not be read.
        denied: Vec<Denied>,
        /// The server's words about the first.
        said: String,
    },
    /// No answer in time.
    #[error(
        "{server} did not answer within {} s to: {what}; a longer --request-timeout waits longer",
        after.as_secs_f64()
    )]
    Timeout {
        /// The server.
        server: String,
        /// What was asked.
        what: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// A list that the server forgot between two pages, again and again.
    #[error(
        "{server} lost its place in the list of {what} {tries} times (410 Gone); try again when it is less busy"
    )]
    Expired {
        /// The server.
        server: String,
        /// The resource.
        what: String,
        /// How often it was begun.
        tries: u32,
    },
    /// A watch whose place the server has forgotten; who follows lists anew by itself.
    #[error("{server} has forgotten what happened to {what} meanwhile (410 Gone); they are listed anew")]
    Lapsed {
        /// The server.
        server: String,
        /// The resource.
        what: String,
    },
    /// Any other refusal.
    #[error("{server} answers {code} to: {what}: {said}")]
    Refused {
        /// The server.
        server: String,
        /// What was asked.
        what: String,
        /// The HTTP status.
        code: u16,
        /// Its words.
        said: String,
    },
    /// An answer that no API server gives.
    #[error(
        "{server} answers to: {what}: with something that is no Kubernetes API's: {cause}; is it the right URL?"
    )]
    NotKubernetes {
        /// The server.
        server: String,
        /// What was asked.
        what: String,
        /// Why.
        cause: String,
    },
}

/// A right that RBAC does not give, in all namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The verb.
    pub verb: &'static str,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource.
    pub resource: &'static str,
}

impl LiveError {
    /// One word for it, for metrics and logs; it stays the same where the message does not.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NoKubeconfig { .. }
            | Self::Kubeconfig { .. }
            | Self::NoContext { .. }
            | Self::UnknownContext { .. }
            | Self::InCluster { .. } => "configuration",
            Self::Credentials { .. } => "credentials",
            Self::Unreachable { .. } => "unreachable",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::Timeout { .. } => "timeout",
            Self::Expired { .. } => "expired",
            Self::Lapsed { .. } => "lapsed",
            Self::Refused { .. } => "refused",
            Self::NotKubernetes { .. } => "not-kubernetes",
        }
    }
}

impl Denied {
    pub(super) const fn list(resource: &Resource) -> Self {
        Self::of("list", resource)
    }

    pub(super) const fn of(verb: &'static str, resource: &Resource) -> Self {
        Self {
            verb,
            group: resource.group,
            resource: resource.plural,
        }
    }

    /// `networkpolicies.networking.k8s.io`, as kubectl takes it.
    fn full_name(&self) -> String {
        if self.group.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}.{}", self.resource, self.group)
        }
    }

    /// The command that asks the server for this right.
    #[must_use]
    pub fn check(&self) -> String {
        format!(
            "kubectl auth can-i {} {} --all-namespaces",
            self.verb,
            self.full_name()
        )
    }

    /// The rule that gives this right, for a ClusterRole.
    #[must_use]
    pub fn rule(&self) -> String {
        format!(
            "{{apiGroups: [{:?}], resources: [{:?}], verbs: [{:?}]}}",
            self.group, self.resource, self.verb
        )
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} in all namespaces", self.verb, self.full_name())
    }
}

/// An error and its causes; a server's words may be of any length.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    bounded(&crate::causes::causes(error))
}

/// Why there are no credentials. A plugin's output and arguments may hold one and go nowhere; its words are on standard error.
pub(super) fn no_credentials(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { out, .. } => {
            let said = String::from_utf8_lossy(&out.stderr);
            bounded(&format!(
                "the kubeconfig's exec plugin failed ({}): {said}",
                out.status
            ))
        }
        other => causes(other),
    }
}

/// What a server said, in one line of bounded length.
pub(super) fn bounded(text: &str) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(MAX_SAID_CHARS) {
        words.truncate(end);
        words.push('…');
    }
    words
}

fn shown(files: &[PathBuf]) -> String {
    joined(files, |file| file.display().to_string())
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        joined(names, |name| format!("{name:?}"))
    }
}

fn joined<T>(all: &[T], text: impl Fn(&T) -> String) -> String {
    all.iter().map(text).collect::<Vec<_>>().join(", ")
}
