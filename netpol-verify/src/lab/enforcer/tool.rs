//! Programs that load rules into a node's kernel, and what their failures are called.

use std::{path::Path, time::Duration};

use super::{
    EnforcerError,
    command::{self, CommandError},
    escape::escape,
};

/// How long one program may take; it takes milliseconds, or waits for another one's lock.
const LIMIT: Duration = Duration::from_secs(30);

/// A program and its arguments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tool {
    /// Its name on `PATH`.
    pub(super) program: &'static str,
    /// The Debian package that has it.
    pub(super) package: &'static str,
    /// Its arguments.
    pub(super) arguments: &'static [&'static str],
}

impl Tool {
    /// Gives the program `input` in the node's namespace; what it printed.
    pub(super) async fn run(&self, node: &str, netns: &Path, input: &str) -> Result<String, EnforcerError> {
        let node = node.to_owned();
        let tool = self.program;
        match command::run(netns, tool, self.arguments, input, LIMIT).await {
            Ok(ended) if ended.status.success() => Ok(ended.stdout),
            Ok(ended) => Err(EnforcerError::Refused {
                node,
                tool,
                status: ended.status,
                message: said(&ended.stderr),
            }),
            Err(CommandError::Enter(source)) => Err(EnforcerError::Netns {
                node,
                path: netns.to_owned(),
                source,
            }),
            Err(CommandError::Start(source)) => Err(EnforcerError::NoTool {
                node,
                tool,
                package: self.package,
                source,
            }),
            Err(CommandError::Late) => Err(EnforcerError::ToolLate {
                node,
                tool,
                limit: LIMIT,
            }),
        }
    }
}

/// The first lines of an error, on one line.
pub(in crate::lab) fn said(stderr: &str) -> String {
    stderr
        .lines()
        .take(6)
        .map(|line| escape(line.trim(), 160))
        .collect::<Vec<_>>()
        .join(" | ")
}
