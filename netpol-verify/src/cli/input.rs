//! Where the commands without packets take a cluster from: manifests by `-f`, else the current kubeconfig context.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{exit::Exit, stream::complain};
use crate::{
    cluster::{Access, LiveCluster, LiveError, Loaded, Locator, Problem, Snapshot},
    policy::{PolicySet, compile},
};

/// Manifests, or a cluster to read from; nothing is ever written to it.
#[derive(Args, Clone, Debug)]
pub(super) struct InputOptions {
    /// Manifests: files, folders, or `-` for standard input (`helm template … | netpol-verify … -f -`). Without it the
    /// current kubeconfig context is read.
    #[arg(long = "filename", short = 'f', value_name = "FILE|DIR|-")]
    pub(super) filenames: Vec<PathBuf>,
    /// The namespace of objects and names that give none.
    #[arg(long, short, value_name = "NAMESPACE")]
    pub(super) namespace: Option<String>,
    /// The kubeconfig to use instead of KUBECONFIG or ~/.kube/config.
    #[arg(long, value_name = "FILE", conflicts_with = "filenames")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig.
    #[arg(long, value_name = "NAME", conflicts_with = "filenames")]
    pub(super) context: Option<String>,
    /// How long to wait for one answer of the API server, as kubectl writes it: 30s, 2m; 0 waits for ever.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = timeout)]
    pub(super) request_timeout: Duration,
}

/// kubectl's durations, or a number of seconds.
fn timeout(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let read = text.parse::<jiff::SignedDuration>().ok();
    read.and_then(|read| Duration::try_from(read).ok())
        .ok_or_else(|| format!("{text:?} is no duration; expected 30s, 2m or 0"))
}

/// A cluster as it was read, and its policies compiled.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) snapshot: Snapshot,
    pub(super) set: PolicySet,
    /// What could not be taken as it stands: in reading first, in compiling then.
    pub(super) problems: Vec<Problem>,
    /// What finds the lines of fields in it.
    pub(super) locator: Locator,
    /// The namespace of names that give none: the one that was asked for, the context's, or `default`.
    pub(super) home: String,
}

impl Input {
    /// Says every problem on standard error; an error where nothing else is left to be said.
    pub(super) fn complain(&self) -> Result<(), InputError> {
        say_problems(&self.problems);
        if self.is_empty() {
            return Err(InputError::Empty);
        }
        Ok(())
    }

    /// Whether it holds nothing to speak about.
    pub(super) const fn is_empty(&self) -> bool {
        let Snapshot {
            pods,
            policies,
            admin,
            ..
        } = &self.snapshot;
        pods.is_empty() && policies.is_empty() && admin.is_empty()
    }
}

/// Says problems on standard error, a line each.
pub(super) fn say_problems(problems: &[Problem]) {
    for problem in problems {
        complain(&problem.to_string());
    }
}

/// Nothing can be said about the input.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error(
        "nothing in the manifests could be taken: no pod, workload or policy is in them; see the problems above"
    )]
    Empty,
    #[error("starting the runtime: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("{0}; or give manifests by -f")]
    Live(#[from] Box<LiveError>),
}

impl From<LiveError> for InputError {
    fn from(error: LiveError) -> Self {
        Self::Live(Box::new(error))
    }
}

impl InputError {
    /// What the command ends with.
    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::Empty => Exit::Usage,
            Self::Runtime(_) | Self::Live(_) => Exit::Environment,
        }
    }
}

impl InputOptions {
    /// Reads and compiles, and says every problem on standard error.
    pub(super) fn read(&self) -> Result<Input, InputError> {
        let input = self.load()?;
        input.complain()?;
        Ok(input)
    }

    /// Reads and compiles, for a command that has a place of its own for problems.
    pub(super) fn load(&self) -> Result<Input, InputError> {
        let (mut loaded, home) = if self.filenames.is_empty() {
            self.live()?
        } else {
            (
                Loaded::from_paths_in(&self.filenames, self.namespace.as_deref()),
                "default".to_owned(),
            )
        };
        let locator = loaded.take_locator();
        let (snapshot, mut problems) = loaded.into_snapshot();
        let (set, mut more) = compile(&snapshot);
        locator.settle_problems(&mut more);
        problems.extend(more);
        Ok(Input {
            snapshot,
            set,
            problems,
            locator,
            home: self.namespace.clone().unwrap_or(home),
        })
    }

    /// Reads the cluster of the kubeconfig context; the second value is the context's namespace.
    fn live(&self) -> Result<(Loaded, String), InputError> {
        let access = Access {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            request_timeout: Some(self.request_timeout),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(InputError::Runtime)?;
        runtime.block_on(async {
            let cluster = LiveCluster::find(&access).await?;
            let home = cluster.namespace().to_owned();
            Ok((cluster.load().await?, home))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::timeout;

    #[test]
    fn timeouts_are_written_as_for_kubectl() {
        for (text, seconds) in [("30s", 30), ("2m", 120), ("1h", 3600), ("0", 0), ("45", 45)] {
            assert_eq!(timeout(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "x", "-1s", "-5", "1y1"] {
            assert!(timeout(text).is_err(), "{text}");
        }
    }
}
