//! `explain`: why a connection must be let through or stopped, and what would change that.

use std::{io, path::PathBuf, process::ExitCode};

use clap::Args;

use super::{
    exit::{Exit, fail},
    input::{InputError, InputOptions, say_problems},
    intent::{IntentError, read_intent},
    options::{Output, OutputOptions},
    stream::{say, style},
};
use crate::oracle::{Explained, ParseEndError, Question, RouteError, explained_json, explained_text};

/// What to explain.
#[derive(Args, Clone, Debug)]
pub(super) struct ExplainOptions {
    /// Who opens the connection: namespace/pod, namespace/svc/name, an address or a CIDR.
    pub(super) from: String,
    /// To whom, and on which port: END[:PORT[/PROTOCOL]]. Without a port every port that the destination declares.
    pub(super) to: String,
    #[command(flatten)]
    pub(super) input: InputOptions,
    /// A file of paths you want open or closed: says whether the policies keep to it here, and exits with 1 where not.
    #[arg(long, value_name = "FILE")]
    pub(super) intent: Option<PathBuf>,
    #[command(flatten)]
    pub(super) print: OutputOptions,
}

#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    End(#[from] ParseEndError),
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error(transparent)]
    Intent(#[from] IntentError),
    #[error("writing the explanation as JSON: {0}")]
    Json(#[source] serde_json::Error),
    #[error("writing to standard output: {0}")]
    Output(#[from] io::Error),
}

impl ExplainError {
    const fn exit(&self) -> Exit {
        match self {
            Self::Input(error) => error.exit(),
            Self::End(_) | Self::Route(_) | Self::Intent(_) => Exit::Usage,
            Self::Json(_) | Self::Output(_) => Exit::Environment,
        }
    }
}

/// Runs the command.
pub(super) fn main(options: &ExplainOptions) -> ExitCode {
    match run(options) {
        Ok(exit) => exit.into(),
        Err(error) => fail(error.exit(), &error),
    }
}

fn run(options: &ExplainOptions) -> Result<Exit, ExplainError> {
    let intent = match options.intent.as_deref().map(read_intent).transpose()? {
        None => None,
        Some((intent, problems)) => {
            say_problems(&problems);
            Some(intent)
        }
    };
    let input = options.input.read()?;
    let question = Question::parse(&options.from, &options.to, &input.home)?;
    let explained = Explained::new(&input.snapshot, &input.set, question, intent.as_ref())?;
    match options.print.output {
        Output::Table => say(&explained_text(&explained, style()))?,
        Output::Json => say(&explained_json(&explained).map_err(ExplainError::Json)?)?,
    }
    Ok(if explained.breaks_intent() {
        Exit::Violation
    } else {
        Exit::Good
    })
}
