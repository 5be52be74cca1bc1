//! Where the commands without packets take a cluster from: manifests by `-f`, else the current kubeconfig context.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::stream::complain;
use crate::{
    cluster::{Loaded, Locator, Problem, Snapshot},
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
    /// Seconds to wait for one answer of the API server.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(super) request_timeout: u64,
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
}

impl Input {
    /// Says every problem on standard error; an error where nothing else is left to be said.
    pub(super) fn complain(&self) -> Result<(), InputError> {
        for problem in &self.problems {
            complain(&problem.to_string());
        }
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

/// Nothing can be said about the input.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error(
        "nothing in the manifests could be taken: no pod, workload or policy is in them; see the problems above"
    )]
    Empty,
}

impl InputError {
    /// What the command ends with.
    pub(super) const fn exit(&self) -> super::exit::Exit {
        match self {
            Self::Empty => super::exit::Exit::Usage,
        }
    }
}

impl InputOptions {
    /// The namespace of names that give none.
    pub(super) fn home(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }

    /// How long one answer of the API server may take.
    pub(super) const fn timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout)
    }

    /// Reads and compiles, and says every problem on standard error.
    pub(super) fn read(&self) -> Result<Input, InputError> {
        let input = self.load();
        input.complain()?;
        Ok(input)
    }

    /// Reads and compiles, for a command that has a place of its own for problems.
    pub(super) fn load(&self) -> Input {
        let mut loaded = Loaded::from_paths_in(&self.filenames, self.namespace.as_deref());
        let locator = loaded.take_locator();
        let (snapshot, mut problems) = loaded.into_snapshot();
        let (set, mut more) = compile(&snapshot);
        locator.settle_problems(&mut more);
        problems.extend(more);
        Input {
            snapshot,
            set,
            problems,
            locator,
        }
    }
}
