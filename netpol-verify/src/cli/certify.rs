//! `certify`: what a cluster's CNI really enforces.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    certify_cases::{CaseOptions, CasesError},
    certify_fuzz::{self, FuzzOptions, Hunt},
    certify_lab::{CertifyLabError, CertifyLabOptions, LabSuites},
    exit::{Exit, fail},
    lab,
    options::{Output, OutputOptions},
    runtime::{self, one_thread},
    stream::{complain, say, style},
};
use crate::{
    certify::{Agents, Cases, Certified, CertifyError, Existing, Images, Request, Target, certify},
    cluster::{Access, LiveCluster},
    net::Protocol,
    oracle::{self, Port},
    report::{self, Certification, Run},
    suite::{
        Chosen, Fuzzing, Record, RecordError, RunName, Scenario, Selection, SelectionError, cases::Suite,
    },
};

/// Seconds that a change may take on a cluster.
const SETTLE: u64 = 30;

/// What a cluster's CNI really enforces.
#[derive(Args, Clone, Debug)]
pub(super) struct CertifyOptions {
    /// `guide` or `guide-corrected` in stages; `cyclonus`, `e2e`, `cnp`, `own` or `all` of these in cases; or a folder of
    /// manifests or of cases.
    #[arg(long, default_value = "guide", conflicts_with = "existing")]
    suite: String,
    #[command(flatten)]
    cases: CaseOptions,
    #[command(flatten)]
    in_lab: CertifyLabOptions,
    #[command(flatten)]
    fuzz: FuzzOptions,
    #[command(flatten)]
    existing: ExistingOptions,
    /// The kubeconfig, as for kubectl.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Its context.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// What the report calls the CNI; without it the CNI is known by its DaemonSet.
    #[arg(long, value_name = "NAME")]
    cni: Option<String>,
    /// On how many nodes pods are placed.
    #[arg(long, default_value_t = 2, conflicts_with = "existing", value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: u16,
    /// Seconds that a change of policies may take to be enforced before it counts against the CNI: 30, and none in the lab,
    /// whose enforcers say when they are done. With --existing: over how many seconds a path is looked at that is not as it
    /// must be.
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=600))]
    settle: Option<u64>,
    /// Another image for sensors and pods.
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Another image for NATS.
    #[arg(long, value_name = "IMAGE")]
    nats_image: Option<String>,
    /// When images are pulled; `Never` where they were loaded into the nodes.
    #[arg(long, value_name = "POLICY")]
    image_pull_policy: Option<String>,
    /// With cases, on a cluster: also play those that restart the CNI's DaemonSet, as `kubectl rollout restart` does, and
    /// watch what packets do meanwhile. Traffic of everybody may suffer. The DaemonSet is found by its name; give another one as
    /// NAMESPACE/NAME.
    #[arg(long, value_name = "DAEMONSET", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with_all = ["existing", "lab", "fuzz"])]
    disruptive: Option<Agents>,
    /// Leave sensors and NATS in the cluster where this run has installed them.
    #[arg(long)]
    keep: bool,
    /// With cases: the order in which they are played. With --fuzz: what is drawn. With --existing: which paths are taken where there are more. The same
    /// for the same number.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    print: OutputOptions,
}

/// Your own pods instead of a suite's.
#[derive(Args, Clone, Debug)]
struct ExistingOptions {
    /// Probe between your own running pods, under the policies that are there: TCP connections are begun and never
    /// completed, so that no application sees one. No pod, policy or namespace is made or changed for it; sensors and NATS
    /// are installed where they are not, and removed again.
    #[arg(long)]
    existing: bool,
    /// Only between pods of these namespaces; may be repeated. Without it those of the context's namespace.
    #[arg(long = "namespace", short, value_name = "NAMESPACE", requires = "existing")]
    namespaces: Vec<String>,
    /// Between pods of all namespaces.
    #[arg(long, short = 'A', requires = "existing", conflicts_with = "namespaces")]
    all_namespaces: bool,
    /// Only between pods with these labels, as kubectl spells them: `app=web,tier in (a,b),!canary`.
    #[arg(long, short = 'l', value_name = "SELECTOR", requires = "existing", value_parser = oracle::selector)]
    selector: Option<oracle::Selector>,
    /// A port to probe: 80 (which is TCP), 9000/SCTP; may be repeated. Without it the TCP ports that policies or a pod's
    /// containers name.
    #[arg(long = "port", value_name = "PORT[/PROTOCOL]", requires = "existing")]
    ports: Vec<Port>,
    /// Send datagrams to UDP ports too: the applications there get them.
    #[arg(long, requires = "existing")]
    udp: bool,
    /// Probes in a second, at most; one that is not answered is sent up to three times.
    #[arg(long, default_value_t = 100, value_name = "N", requires = "existing", value_parser = clap::value_parser!(u16).range(1..=4096))]
    rate: u16,
    /// Paths that are probed, at most: a pair of pods on a port. Where there are more, every pod gets some, and every policy.
    #[arg(long, default_value_t = 2_000, value_name = "N", requires = "existing", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_pairs: u32,
}

impl ExistingOptions {
    /// The selection; `home` is the context's namespace.
    fn existing(&self, home: &str, seed: u64) -> Result<Existing, CertifyCommandError> {
        if let Some(port) = self
            .ports
            .iter()
            .find(|port| port.protocol == Protocol::Udp && !self.udp)
        {
            return Err(CertifyCommandError::Datagrams(*port));
        }
        let namespaces = match (self.all_namespaces, self.namespaces.as_slice()) {
            (true, _) => Vec::new(),
            (false, []) => vec![home.to_owned()],
            (false, named) => named.to_vec(),
        };
        Ok(Existing {
            namespaces,
            labels: self.selector.clone(),
            ports: self
                .ports
                .iter()
                .map(|port| (port.protocol, port.number))
                .collect(),
            udp: self.udp,
            rate: self.rate,
            most: usize::try_from(self.max_pairs).unwrap_or(usize::MAX),
            seed,
        })
    }
}

#[derive(Debug, thiserror::Error)]
enum CertifyCommandError {
    #[error("--port {0} sends datagrams, which the applications there get; say that they may by --udp")]
    Datagrams(Port),
    #[error(transparent)]
    Certify(#[from] CertifyError),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error(transparent)]
    Cases(#[from] CasesError),
    #[error(transparent)]
    Lab(Box<CertifyLabError>),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(
        "--settle 0 is for the lab, whose enforcers say when they are done; give a cluster at least a second"
    )]
    NoSettle,
    #[error("starting the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("writing the report as JSON: {0}")]
    Json(#[source] serde_json::Error),
    #[error("writing to standard output: {0}")]
    Output(#[from] io::Error),
}

impl From<CertifyLabError> for CertifyCommandError {
    fn from(error: CertifyLabError) -> Self {
        Self::Lab(Box::new(error))
    }
}

impl CertifyCommandError {
    fn is_usage(&self) -> bool {
        match self {
            Self::Datagrams(_)
            | Self::Selection(_)
            | Self::NoSettle
            | Self::Certify(
                CertifyError::NoPod { .. }
                | CertifyError::NoAgents { .. }
                | CertifyError::OnlyDisruptive
                | CertifyError::Selection(_),
            ) => true,
            Self::Cases(error) => error.is_usage(),
            Self::Lab(error) => error.is_usage(),
            Self::Record(error) | Self::Certify(CertifyError::Record(error)) => error.is_usage(),
            Self::Certify(_) | Self::Runtime(_) | Self::Json(_) | Self::Output(_) => false,
        }
    }
}

/// Certifies, prints, and gives the exit code.
pub(super) fn main(options: &CertifyOptions) -> ExitCode {
    match carry_out(options) {
        Ok(exit) => exit,
        Err(error) if error.is_usage() => fail(Exit::Usage, &error),
        Err(error) => fail(Exit::Environment, &error),
    }
}

/// What is wrong with the command line is said before anything is asked or made.
fn carry_out(options: &CertifyOptions) -> Result<ExitCode, CertifyCommandError> {
    if options.settle == Some(0) && !options.in_lab.lab {
        return Err(CertifyCommandError::NoSettle);
    }
    if options.existing.existing {
        options.existing.existing("", 1)?;
        return options.stages(None);
    }
    if let Some(clusters) = options.fuzz.fuzz {
        options.cases.only_without()?;
        return options.fuzz(clusters);
    }
    match Chosen::load(&options.suite)? {
        Chosen::Scenario(scenario) => {
            options.cases.only_without()?;
            if options.disruptive.is_some() {
                return Err(CasesError::NoCases { flag: "disruptive" }.into());
            }
            if options.in_lab.lab {
                let run = options.in_lab.scenario(
                    &options.suite,
                    options.cni.as_deref(),
                    options.nodes,
                    &options.print,
                )?;
                return Ok(lab::main(run));
            }
            options.stages(Some(*scenario))
        }
        Chosen::Suites(suites) => options.suites(suites),
    }
}

impl CertifyOptions {
    /// A scenario, or the user's own pods, on a cluster.
    fn stages(&self, scenario: Option<Scenario>) -> Result<ExitCode, CertifyCommandError> {
        let target = scenario.map(|scenario| Target::Suite {
            scenario,
            name: self.suite.clone(),
        });
        let certified = self.on_cluster(target)?;
        self.shown(certified, None)
    }

    fn shown(
        &self,
        certified: Certified,
        before: Option<&Certification>,
    ) -> Result<ExitCode, CertifyCommandError> {
        match certified {
            Certified::Run(run) => self.said(&run),
            Certified::Cases(run, record) => self.said_of_cases(&run, record, before),
        }
    }

    fn said(&self, run: &Run) -> Result<ExitCode, CertifyCommandError> {
        let text = match self.print.output {
            Output::Json => report::json(run).map_err(CertifyCommandError::Json)?,
            Output::Table => report::table(run, style()),
        };
        say(&text)?;
        Ok(run.exit_code().into())
    }

    fn on_cluster(&self, target: Option<Target>) -> Result<Certified, CertifyCommandError> {
        let access = Access {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            request_timeout: None,
        };
        let work = async {
            let stop = runtime::told_to_end().map_err(CertifyCommandError::Runtime)?;
            let live = LiveCluster::find(&access).await.map_err(CertifyError::from)?;
            let target = match target {
                Some(target) => target,
                None => Target::Existing(self.existing.existing(live.namespace(), self.seed.unwrap_or(1))?),
            };
            let request = self.request(target);
            let progress = Progress::new();
            let run = certify(&live, &request, &|step| progress.say(step), stop).await;
            progress.end();
            Ok(run?)
        };
        runtime::run(work, CertifyCommandError::Runtime)
    }

    /// Suites of cases.
    fn suites(&self, suites: Vec<Suite>) -> Result<ExitCode, CertifyCommandError> {
        let before = self.cases.before()?;
        let selection = self.cases.selection(self.seed);
        // What cannot come of it is said before a cluster is touched.
        self.cases.check(&selection.of(&suites)?)?;
        let run = self.cases.run_name();
        Record::look_up(&run)?;
        let certified = if self.in_lab.lab {
            self.played(&suites, &selection, &run)
        } else {
            self.on_cluster(Some(Target::Cases(Cases {
                suites,
                selection,
                run: run.clone(),
                disruptive: self.disruptive.clone(),
            })))
        };
        let how_to_go_on = |error: &CertifyCommandError| {
            if !error.is_usage() {
                CaseOptions::say_how_to_go_on(&run);
            }
        };
        self.shown(certified.inspect_err(how_to_go_on)?, before.as_ref())
    }

    /// What is kept of the cases goes when what came of them was told.
    fn said_of_cases(
        &self,
        run: &Certification,
        record: Record,
        before: Option<&Certification>,
    ) -> Result<ExitCode, CertifyCommandError> {
        say(&CaseOptions::text(run, before, self.print.output)?)?;
        record.finish()?;
        self.cases.write_conformance(run)?;
        Ok(run.exit_code().into())
    }

    /// Random clusters in the lab.
    fn fuzz(&self, clusters: u64) -> Result<ExitCode, CertifyCommandError> {
        let seed = self.seed.unwrap_or_else(crate::random::random);
        let progress = Progress::new();
        let hunt = Hunt {
            fuzzing: Fuzzing { clusters, seed },
            cni: self.cni.as_deref(),
            settle: self.settle,
            nodes: self.nodes,
            progress: &|step| progress.quietly(step),
        };
        let fuzzed = one_thread()
            .map_err(CertifyCommandError::Runtime)?
            .block_on(self.in_lab.fuzz(hunt));
        progress.end();
        let fuzzed = fuzzed?;
        say(&certify_fuzz::text(&fuzzed, self.print.output).map_err(CertifyCommandError::Json)?)?;
        Ok(certify_fuzz::exit(&fuzzed))
    }

    fn played(
        &self,
        suites: &[Suite],
        selection: &Selection,
        run: &RunName,
    ) -> Result<Certified, CertifyCommandError> {
        let chosen = selection.of(suites)?;
        let cni = self.cni.as_deref();
        let mut record = Record::open(run, &self.in_lab.place(cni, self.nodes)?)?;
        let progress = Progress::new();
        let what = LabSuites {
            suites,
            chosen: &chosen,
            cni,
            settle: self.settle,
            nodes: self.nodes,
            record: &mut record,
            progress: &|step| progress.say(step),
        };
        let played = one_thread()
            .map_err(CertifyCommandError::Runtime)?
            .block_on(self.in_lab.certify(what));
        progress.end();
        Ok(Certified::Cases(Box::new(played?), record))
    }
}

impl CertifyOptions {
    fn request(&self, target: Target) -> Request {
        Request {
            target,
            cni: self.cni.clone(),
            images: Images {
                ours: self.image.clone(),
                nats: self.nats_image.clone(),
                pull_policy: self.image_pull_policy.clone(),
            },
            nodes: usize::from(self.nodes),
            settle: Duration::from_secs(self.settle.unwrap_or(SETTLE)),
            keep: self.keep,
        }
    }
}

/// A spinner on a terminal, a line for each step in a pipe.
struct Progress(Option<ProgressBar>);

impl Progress {
    fn new() -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(Some(bar))
    }

    fn say(&self, step: &str) {
        match &self.0 {
            Some(bar) => bar.set_message(report::escape(step).to_string()),
            None => complain(step),
        }
    }

    /// For what happens by the thousand: on a terminal only.
    fn quietly(&self, step: &str) {
        if self.0.is_some() {
            self.say(step);
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{CertifyCommandError, CertifyOptions};

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        options: CertifyOptions,
    }

    fn parse(words: &str) -> Result<CertifyOptions, clap::Error> {
        Words::try_parse_from(words.split_whitespace()).map(|words| words.options)
    }

    #[test]
    fn datagrams_go_to_applications_only_when_that_was_said() {
        let silent = parse("certify --existing --port 53/UDP").unwrap();
        let error = silent.existing.existing("home", 1).unwrap_err();
        assert!(matches!(error, CertifyCommandError::Datagrams(_)), "{error}");
        assert!(
            error.to_string().contains("UDP/53") && error.to_string().contains("--udp"),
            "{error}"
        );
        let said = parse("certify --existing --port 53/UDP --udp").unwrap();
        assert!(said.existing.existing("home", 1).is_ok());
    }

    #[test]
    fn without_a_namespace_the_contexts_own_is_probed_and_never_all() {
        let namespaces = |words: &str| {
            parse(words)
                .unwrap()
                .existing
                .existing("home", 1)
                .unwrap()
                .namespaces
        };
        assert_eq!(namespaces("certify --existing"), ["home"]);
        assert_eq!(namespaces("certify --existing -n a -n b"), ["a", "b"]);
        assert!(namespaces("certify --existing -A").is_empty());
    }

    #[test]
    fn words_of_one_way_are_refused_with_the_other() {
        for words in [
            "certify -n shop",
            "certify -A",
            "certify -l app=web",
            "certify --port 80",
            "certify --udp",
            "certify --rate 5",
            "certify --existing --suite guide",
            "certify --existing --nodes 3",
            "certify --existing -A -n shop",
            "certify --existing --rate 0",
            "certify --existing --max-pairs 0",
        ] {
            assert!(parse(words).is_err(), "{words}");
        }
    }
}
