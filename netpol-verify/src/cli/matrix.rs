//! `matrix`: who may reach whom, from policies alone, and what a change opens and closes.

use std::{
    io::{self, BufWriter, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, ValueEnum};

use super::{
    exit::{Exit, fail},
    input::{Input, InputError, InputOptions, say_problems},
    intent::{IntentError, read_intent},
    stream::{complain, enough, style},
};
use crate::{
    cluster::ObjectName,
    oracle::{self, By, Cluster, Diff, Grids, Port, Selection, SelectionError, View},
};

/// Who may reach whom, from policies alone.
#[derive(Args, Clone, Debug)]
pub(super) struct MatrixArguments {
    #[command(flatten)]
    input: InputOptions,
    /// Pairs of all namespaces, also where `-n` is given for objects that name none.
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// Only pairs of which one end has these labels, as kubectl spells them: `app=web,tier in (a,b),!canary`.
    #[arg(long, short = 'l', value_name = "SELECTOR", value_parser = oracle::selector)]
    selector: Option<oracle::Selector>,
    /// Only these sources: namespace/pod, namespace/workload or namespace/*; may be repeated.
    #[arg(long, value_name = "NAME")]
    from: Vec<String>,
    /// Only these destinations, likewise.
    #[arg(long, value_name = "NAME")]
    to: Vec<String>,
    /// What a row and a column stand for.
    #[arg(long, value_enum, default_value = "pod")]
    by: ByWord,
    /// A port to ask about: 80 (which is TCP), 53/UDP; may be repeated. Without it all ports that policies, containers or
    /// Services name.
    #[arg(long, value_name = "PORT[/PROTOCOL]")]
    port: Vec<Port>,
    /// Ends outside the cluster too: one for each block of addresses that policies name, one for all other addresses.
    #[arg(long)]
    external: bool,
    /// What changes against the manifests of `-f` when these are applied instead: a file, a folder or `-`. Exits with 1 when a
    /// pair is answered otherwise.
    #[arg(long, value_name = "FILE|DIR|-", conflicts_with_all = ["intent"])]
    diff: Option<PathBuf>,
    /// A file of paths you want open or closed; exits with 1 when the policies contradict it.
    #[arg(long, value_name = "FILE")]
    intent: Option<PathBuf>,
    /// How to print; `markdown` is for `--diff` only.
    #[arg(long, short, value_enum, default_value = "table")]
    output: MatrixOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ByWord {
    /// One pod each.
    Pod,
    /// All pods of one Deployment, StatefulSet and so on.
    Workload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MatrixOutput {
    /// Grids for people.
    Table,
    /// Grids, and who decides.
    Wide,
    /// One `Matrix` document, a row for each pair.
    Json,
    /// A line for each pair.
    Csv,
    /// Allowed paths for Graphviz.
    Dot,
    /// Allowed paths for Mermaid, as GitHub draws it.
    Mermaid,
    /// One self-contained page.
    Html,
    /// A table for a pull request.
    Markdown,
}

#[derive(Debug, thiserror::Error)]
enum MatrixError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error("-o {0} is not there {1}; expected {2}")]
    Output(&'static str, &'static str, &'static str),
    #[error("there is no pod to ask about: give manifests with pods or workloads")]
    NoPod,
    #[error("no pod is on both sides: --diff takes whole manifests, pods or workloads among them")]
    NoCommonPod,
    #[error("--diff - and -f - both want standard input; give one of them as a file")]
    TwoInputs,
    #[error(transparent)]
    Intent(#[from] IntentError),
    #[error("writing: {0}")]
    Write(#[from] io::Error),
}

/// Asks, prints, and gives the exit code.
pub(super) fn main(arguments: &MatrixArguments) -> ExitCode {
    match run(arguments) {
        Ok(exit) => exit.into(),
        Err(error @ MatrixError::Write(_)) => fail(Exit::Environment, &error),
        Err(MatrixError::Input(error)) => fail(error.exit(), &error),
        Err(error) => fail(Exit::Usage, &error),
    }
}

fn run(arguments: &MatrixArguments) -> Result<Exit, MatrixError> {
    let (is_diff, output) = (arguments.diff.is_some(), arguments.output);
    if is_diff
        && !matches!(
            output,
            MatrixOutput::Table | MatrixOutput::Json | MatrixOutput::Markdown
        )
    {
        return Err(MatrixError::Output(
            output.word(),
            "for --diff",
            "table, json or markdown",
        ));
    }
    if !is_diff && output == MatrixOutput::Markdown {
        let others = "table, wide, json, csv, dot, mermaid or html";
        return Err(MatrixError::Output("markdown", "without --diff", others));
    }
    let input = arguments.input.read()?;
    let selection = arguments.selection(&input.home);
    if let Some(other) = &arguments.diff {
        return arguments.compare(&input, other, &selection);
    }
    selection.check(&[&input.snapshot])?;
    let view = arguments.view(vec![cluster(&input)], &selection)?;
    let ports = arguments.ports(&[&input]);
    let breaks = match &arguments.intent {
        None => None,
        Some(file) => {
            let (intent, problems) = read_intent(file)?;
            say_problems(&problems);
            Some(oracle::breaks(&intent, cluster(&input)))
        }
    };
    let mut out = BufWriter::with_capacity(1 << 18, io::stdout().lock());
    let written = match output {
        MatrixOutput::Json => oracle::json(
            &view,
            &ports,
            breaks.as_ref().map(|(breaks, _)| breaks.as_slice()),
            &mut out,
        ),
        MatrixOutput::Csv => oracle::csv(&view, &ports, &mut out),
        MatrixOutput::Dot => oracle::dot(&view, &ports, &mut out),
        MatrixOutput::Mermaid => oracle::mermaid(&view, &ports, &mut out),
        MatrixOutput::Html => {
            let lines = breaks
                .as_ref()
                .map(|(breaks, checked)| oracle::break_lines(breaks, *checked));
            oracle::html(&view, &ports, &lines.unwrap_or_default(), &mut out)
        }
        MatrixOutput::Table | MatrixOutput::Wide | MatrixOutput::Markdown => {
            let style = style();
            let mut text = oracle::grids(
                &view,
                &ports,
                Grids {
                    style,
                    who: output == MatrixOutput::Wide,
                },
            );
            if let Some((breaks, checked)) = &breaks {
                text.push_str(&oracle::break_lines(breaks, *checked).join("\n"));
                text.push('\n');
            }
            out.write_all(text.as_bytes())
        }
    };
    enough(written.and_then(|()| out.flush()))?;
    if let Some((breaks, checked)) = &breaks {
        // Formats for programs have no place for sentences.
        if matches!(
            output,
            MatrixOutput::Csv | MatrixOutput::Dot | MatrixOutput::Mermaid
        ) {
            for line in oracle::break_lines(breaks, *checked) {
                complain(&line);
            }
        }
        if !breaks.is_empty() {
            return Ok(Exit::Violation);
        }
    }
    Ok(Exit::Good)
}

impl MatrixArguments {
    fn selection(&self, home: &str) -> Selection {
        let names = |texts: &[String]| {
            let name = |text: &String| {
                text.parse()
                    .unwrap_or_else(|_| ObjectName::new(home, text.as_str()))
            };
            texts.iter().map(name).collect()
        };
        Selection {
            namespace: self.input.namespace.clone().filter(|_| !self.all_namespaces),
            labels: self.selector.clone(),
            from: names(&self.from),
            to: names(&self.to),
        }
    }

    fn view<'a>(&self, clusters: Vec<Cluster<'a>>, selection: &Selection) -> Result<View<'a>, MatrixError> {
        let by = match self.by {
            ByWord::Pod => By::Pod,
            ByWord::Workload => By::Workload,
        };
        let view = View::new(clusters, selection, by, self.external);
        if view.is_empty() {
            Err(MatrixError::NoPod)
        } else {
            Ok(view)
        }
    }

    fn ports(&self, inputs: &[&Input]) -> Vec<Port> {
        if !self.port.is_empty() {
            let mut ports = self.port.clone();
            ports.sort_unstable();
            ports.dedup();
            return ports;
        }
        let snapshots: Vec<_> = inputs.iter().map(|input| &input.snapshot).collect();
        let (ports, is_default) = oracle::ports_of(&snapshots);
        if is_default {
            complain(
                "no policy, container or Service names a port; TCP/80 stands in, --port asks about others",
            );
        }
        ports
    }

    fn compare(&self, before: &Input, other: &PathBuf, selection: &Selection) -> Result<Exit, MatrixError> {
        let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
        if is_stdin(other) && self.input.filenames.iter().any(is_stdin) {
            return Err(MatrixError::TwoInputs);
        }
        let after = InputOptions {
            filenames: vec![other.clone()],
            ..self.input.clone()
        };
        let after = after.read()?;
        selection.check(&[&before.snapshot, &after.snapshot])?;
        let both = vec![cluster(before), cluster(&after)];
        let view = self.view(both, selection).map_err(|_| MatrixError::NoCommonPod)?;
        let diff = Diff::new(&view, self.ports(&[before, &after]));
        let mut out = BufWriter::with_capacity(1 << 18, io::stdout().lock());
        let written = match self.output {
            MatrixOutput::Json => diff.json(&mut out),
            MatrixOutput::Markdown => out.write_all(diff.markdown().as_bytes()),
            _ => out.write_all(diff.table(style()).as_bytes()),
        };
        enough(written.and_then(|()| out.flush()))?;
        if !self.external && diff.has_other_blocks() {
            complain("the blocks of addresses differ; --external compares addresses outside the cluster too");
        }
        Ok(if diff.is_empty() {
            Exit::Good
        } else {
            Exit::Violation
        })
    }
}

impl MatrixOutput {
    fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Wide => "wide",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Dot => "dot",
            Self::Mermaid => "mermaid",
            Self::Html => "html",
            Self::Markdown => "markdown",
        }
    }
}

fn cluster(input: &Input) -> Cluster<'_> {
    Cluster {
        snapshot: &input.snapshot,
        set: &input.set,
    }
}
