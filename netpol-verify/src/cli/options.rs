//! The command line's words.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::explain::ExplainOptions;
use super::lint::LintOptions;
use crate::{
    lab::{enforcer::EnforcerSpec, fault::Fault, topology::Wiring},
    suite::Cni,
};

const EXIT_CODES: &str = "Exit codes: 0 everything enforced, 1 a violation was found, 2 usage, 3 inconclusive, \
                          4 the environment cannot run it.";

/// Are the NetworkPolicies you applied really enforced? The answer, from packets.
#[derive(Debug, Parser)]
#[command(name = "netpol-verify", version, about, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
    /// Say more on standard error (NETPOL_VERIFY_LOG takes a filter).
    #[arg(long, short, global = true)]
    pub(super) verbose: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// A virtual cluster on this machine: run a scenario, or stand one up for your own manifests.
    Lab(LabArguments),
    /// Why a connection must be let through or stopped, and what would change that. Needs no rights and no packets.
    Explain(ExplainOptions),
    /// What is valid and surely wrong in policies: exits with 1 where something is. Needs no rights and no packets.
    Lint(LintOptions),
    /// Who may reach whom, from policies alone, and what a change opens and closes.
    Matrix(super::matrix::MatrixArguments),
    /// What this machine or a cluster can do, and what each lack costs.
    Doctor(super::doctor::DoctorOptions),
    /// What a cluster's CNI really enforces: makes pods of its own, applies a suite's policies, probes every path and
    /// removes all of it again; or, with --existing, probes between the pods that are there.
    Certify(Box<super::certify::CertifyOptions>),
    /// One node's eyes, in a cluster: watches every pod's interface and says on the bus what it sees. Needs no Kubernetes
    /// credentials.
    Sensor(super::sensor::SensorOptions),
    /// What all sensors see, judged by the cluster's policies: findings and figures over HTTP. Reads the Kubernetes API.
    Verifier(super::verifier::VerifierOptions),
    /// Verdicts on a cluster's traffic as they are given. Sends nothing.
    Watch(super::watch::WatchOptions),
    /// Print a Secret with fresh credentials of NATS, for `kubectl apply -f -`.
    Secrets(super::secrets::SecretsOptions),
    /// Do nothing until told to end: the process of pods that are only there to be probed.
    #[command(hide = true)]
    Pause,
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Write the manual pages.
    Man {
        /// A folder for all of them; without it the main page goes to standard output.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// For programs: one document with a schema.
    Json,
}

/// Where and how results go.
#[derive(Args, Clone, Debug)]
pub(super) struct OutputOptions {
    /// How to print.
    #[arg(long, short, value_enum, default_value = "table")]
    pub(super) output: Output,
}

/// `lab` and its commands; `run` when none is named.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct LabArguments {
    #[command(subcommand)]
    pub(super) command: Option<LabCommand>,
    #[command(flatten)]
    pub(super) run: LabRun,
}

/// What to do with the lab.
#[derive(Debug, Subcommand)]
pub(super) enum LabCommand {
    /// Build, play the scenario, report, remove (the default).
    Run(LabRun),
    /// Build and leave it standing, at the scenario's last stage.
    Up(LabRun),
    /// Apply manifests to the standing lab: pods are wired, policies enforced.
    Apply(LabFiles),
    /// Delete the objects that manifests name from the standing lab.
    Delete(LabFiles),
    /// Probe every pair of the standing lab and judge.
    Verify(LabVerify),
    /// Remove the standing lab.
    Down,
}

/// What to build.
#[derive(Args, Clone, Debug)]
pub(super) struct LabRun {
    /// The CNI to stand in for.
    #[arg(long, default_value_t = Cni::Enforcing, value_name = "flannel|kubenet|enforcing")]
    pub(super) cni: Cni,
    /// How pods are wired, instead of the CNI's way.
    #[arg(long, value_name = "bridge|routed")]
    pub(super) wiring: Option<Wiring>,
    /// Who enforces, instead of the CNI's own: nftables, iptables with ipset, eBPF at the TC hooks, or a program of yours.
    #[arg(long, value_name = "none|nftables|ipset|tc|exec:PATH")]
    pub(super) enforcer: Option<EnforcerSpec>,
    /// A known way to be wrong, put into the enforcer on purpose: any into nftables; into ipset and tc those that misread.
    #[arg(long, value_name = "ID")]
    pub(super) fault: Option<Fault>,
    /// List the faults and what each does.
    #[arg(long)]
    pub(super) list_faults: bool,
    /// `guide`, `guide-corrected`, or a folder of manifests.
    #[arg(long, default_value = "guide")]
    pub(super) scenario: String,
    /// How many nodes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=250))]
    pub(super) nodes: u16,
    /// Seconds a program of yours has for each answer.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(super) enforcer_timeout: u64,
    /// Another eBPF object than the embedded one, as `cargo xtask build-ebpf --out` makes it; with `--log` in it, its
    /// messages are shown by `--verbose`.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(super) ebpf_object: Option<PathBuf>,
    /// Remove what earlier runs left, a standing lab included, and do nothing else.
    #[arg(long)]
    pub(super) clean: bool,
    #[command(flatten)]
    pub(super) print: OutputOptions,
}

/// Manifests for the standing lab.
#[derive(Args, Clone, Debug)]
pub(super) struct LabFiles {
    /// Files, folders, or `-` for standard input.
    #[arg(long = "filename", short = 'f', required = true, value_name = "FILE|DIR|-")]
    pub(super) files: Vec<PathBuf>,
}

/// What to verify.
#[derive(Args, Clone, Debug)]
pub(super) struct LabVerify {
    /// A file of paths you want open or closed.
    #[arg(long = "filename", short = 'f', value_name = "INTENT")]
    pub(super) intent: Option<PathBuf>,
    #[command(flatten)]
    pub(super) print: OutputOptions,
}

/// Parses the command line. As a plugin of kubectl usage speaks as it was called: `kubectl-netpol_verify` is run by
/// `kubectl netpol-verify`.
pub(super) fn parse() -> Arguments {
    let mut command = Arguments::command();
    let called = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&called).file_name().unwrap_or_default();
    if let Some(plugin) = name.to_string_lossy().strip_prefix("kubectl-") {
        command = command.bin_name(format!("kubectl {}", plugin.replace('_', "-")));
    }
    let matches = command.get_matches();
    Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{Arguments, Command, LabCommand};

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn plain_lab_is_run() {
        let arguments =
            Arguments::try_parse_from(["netpol-verify", "lab", "--cni", "flannel", "-o", "json"]).unwrap();
        let Command::Lab(lab) = arguments.command else {
            panic!("not lab")
        };
        assert!(lab.command.is_none());
        let arguments = Arguments::try_parse_from(["netpol-verify", "lab", "up", "--nodes", "3"]).unwrap();
        let Command::Lab(lab) = arguments.command else {
            panic!("not lab")
        };
        assert!(matches!(lab.command, Some(LabCommand::Up(run)) if run.nodes == 3));
    }

    #[test]
    fn wrong_words_are_usage_errors_that_name_the_right_ones() {
        for (words, expected) in [
            (vec!["lab", "--cni", "calico"], "flannel, kubenet or enforcing"),
            (vec!["lab", "--fault", "nonsense"], "no-engine"),
            (vec!["lab", "--wiring", "x"], "bridge or routed"),
            (vec!["lab", "--nodes", "0"], "1..=250"),
            (vec!["lab", "--enforcer", "iptables"], "nftables"),
        ] {
            let error = Arguments::try_parse_from([&["netpol-verify"], &words[..]].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
