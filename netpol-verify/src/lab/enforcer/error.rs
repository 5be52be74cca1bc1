//! Why an enforcer could not do its work: always an error of the environment, never a verdict.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

use super::{escape::escape, tc::TcError};

/// An enforcer could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnforcerError {
    /// A node's network namespace cannot be entered.
    #[error("node {node}: cannot enter its network namespace {}: {source}; is the lab still up?", path.display())]
    Netns {
        /// The node.
        node: String,
        /// The file of the namespace.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A switch of `br_netfilter` cannot be set.
    #[error("node {node}: cannot set {}: {source}; load the kernel module br_netfilter, or use routed wiring", path.display())]
    BridgeFilter {
        /// The node.
        node: String,
        /// The file of the switch.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The program that loads rules cannot be run.
    #[error("node {node}: cannot run {tool}: {source}; install the package {package}")]
    NoTool {
        /// The node.
        node: String,
        /// The program.
        tool: &'static str,
        /// Where it comes from, on Debian.
        package: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// It refused the rules.
    #[error("node {node}: {tool} refused the rules ({status}): {message}")]
    Refused {
        /// The node.
        node: String,
        /// The program.
        tool: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it said, escaped.
        message: String,
    },
    /// It did not end in time.
    #[error("node {node}: {tool} did not end within {limit:?} and was stopped")]
    ToolLate {
        /// The node.
        node: String,
        /// The program.
        tool: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The eBPF programs of the enforcer `tc`.
    #[error("node {node}: the enforcer tc: {source}")]
    Tc {
        /// The node.
        node: String,
        /// What failed.
        source: Box<TcError>,
    },
    /// The user's program did not keep to the protocol.
    #[error("enforcer {}: {trouble}{}", escape(&program.display().to_string(), 200), last_words(said))]
    Program {
        /// The program.
        program: PathBuf,
        /// What happened.
        trouble: ProgramTrouble,
        /// The last lines of its standard error, escaped and bounded.
        said: Vec<String>,
    },
}

/// What a user's program did wrong, and at which step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramTrouble {
    /// It cannot be started.
    #[error("cannot be started: {0}; it must be an executable file")]
    Start(io::Error),
    /// It does not take its input.
    #[error("stopped reading at generation {generation}: {source}")]
    Input {
        /// What it was being told.
        generation: u64,
        /// The cause.
        source: io::Error,
    },
    /// It ended before its input did.
    #[error(
        "ended before it answered generation {generation} ({ended}); it must run until its standard input ends"
    )]
    Ended {
        /// What it was to answer.
        generation: u64,
        /// How it ended, in words.
        ended: String,
    },
    /// It did not answer in time.
    #[error(
        "did not answer generation {generation} within {limit:?}; it must print {{\"generation\":{generation}}} and a newline, and flush"
    )]
    Late {
        /// What it was to answer.
        generation: u64,
        /// The limit.
        limit: Duration,
    },
    /// Its answer is not one.
    #[error("answered generation {generation} with \"{answer}\"; expected {{\"generation\":{generation}}}")]
    Malformed {
        /// What it was to answer.
        generation: u64,
        /// What it said, escaped.
        answer: String,
    },
    /// It answered another change.
    #[error("answered generation {answered} to generation {generation}")]
    Wrong {
        /// What it was to answer.
        generation: u64,
        /// What it answered.
        answered: u64,
    },
    /// Its answer is too long.
    #[error("answered generation {generation} with more than {limit} bytes and no newline")]
    Oversized {
        /// What it was to answer.
        generation: u64,
        /// The limit.
        limit: usize,
    },
    /// The cluster cannot be told as JSON.
    #[error("generation {generation} cannot be written as JSON: {source}")]
    Encode {
        /// The change.
        generation: u64,
        /// The cause.
        source: serde_json::Error,
    },
    /// It did not end with its input.
    #[error("did not end within {limit:?} of the end of its input and was killed")]
    Lingered {
        /// The limit.
        limit: Duration,
    },
    /// It broke the protocol before and was ended then.
    #[error("is no longer running: it failed at generation {generation}")]
    Gone {
        /// Where it failed.
        generation: u64,
    },
}

fn last_words(said: &[String]) -> String {
    if said.is_empty() {
        String::new()
    } else {
        format!("; its last words: {}", said.join(" | "))
    }
}
