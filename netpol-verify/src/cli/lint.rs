//! `lint`: what is valid and surely wrong in policies.

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, ValueEnum};

use super::{
    exit::{Exit, fail},
    input::{InputError, InputOptions},
    intent::{IntentError, read_intent},
    options::{Output, OutputOptions},
    stream::{say, style},
};
use crate::{
    cluster::Place,
    lint::{self, Lint, Severity, Subject},
};

/// What to look at, and what to say.
#[derive(Args, Clone, Debug)]
pub(super) struct LintOptions {
    #[command(flatten)]
    pub(super) input: InputOptions,
    /// A file of paths you want open or closed; each that the policies break is a finding.
    #[arg(long, value_name = "FILE")]
    pub(super) intent: Option<PathBuf>,
    /// The least that is shown, and that makes the command exit with 1.
    #[arg(long, value_enum, default_value = "warning", value_name = "SEVERITY")]
    pub(super) min_severity: Least,
    #[command(flatten)]
    pub(super) print: OutputOptions,
}

/// A threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Least {
    /// Wrong whatever the cluster holds.
    Error,
    /// Also what is wrong in this cluster.
    Warning,
    /// Also what is worth knowing.
    Info,
}

#[derive(Debug, thiserror::Error)]
enum LintError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Intent(#[from] IntentError),
    #[error("writing the findings as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("writing to standard output: {0}")]
    Output(#[from] io::Error),
}

impl LintError {
    const fn exit(&self) -> Exit {
        match self {
            Self::Input(error) => error.exit(),
            Self::Intent(_) => Exit::Usage,
            Self::Json(_) | Self::Output(_) => Exit::Environment,
        }
    }
}

/// Reads, looks, prints.
pub(super) fn main(options: &LintOptions) -> ExitCode {
    match carry_out(options) {
        Ok(exit) => exit.into(),
        Err(error) => fail(error.exit(), &error),
    }
}

fn carry_out(options: &LintOptions) -> Result<Exit, LintError> {
    let mut input = options.input.load()?;
    if input.is_empty() {
        input.complain()?;
    }
    let intent = match options.intent.as_deref() {
        None => None,
        Some(path) => {
            let (intent, problems) = read_intent(path)?;
            input.problems.extend(problems);
            let place = Place {
                file: path.to_owned(),
                line: 0,
            };
            Some((intent, place))
        }
    };
    let findings = lint::lint(Subject {
        snapshot: &input.snapshot,
        set: &input.set,
        problems: &input.problems,
        locator: &input.locator,
        is_whole: options.input.filenames.is_empty(),
        intent: intent.as_ref().map(|(intent, place)| (intent, place)),
    });
    let threshold = match options.min_severity {
        Least::Error => Severity::Error,
        Least::Warning => Severity::Warning,
        Least::Info => Severity::Info,
    };
    let policies = input.snapshot.policies.len() + input.snapshot.admin.len();
    let lint = Lint::new(findings, policies, input.snapshot.pods.len(), threshold);
    let text = match options.print.output {
        Output::Json => lint::json(&lint)?,
        Output::Table => lint::table(&lint, style()),
    };
    say(&text)?;
    Ok(if lint.findings.is_empty() {
        Exit::Good
    } else {
        Exit::Violation
    })
}
