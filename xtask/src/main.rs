//! The developers' door, the same one CI goes through: `cargo xtask <command>`.
#![forbid(unsafe_code)]

mod apiserver;
mod bench;
mod build_ebpf;
mod chart;
mod cluster;
mod command;
mod demo;
mod faults;
mod fuzz_oracle;
mod generate;
mod go;
mod helm;
mod image;
mod licences;
mod lint;
mod nats;
mod oci;
mod packages;
mod skips;
mod test;
mod toolchain;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "The developers' door: demo, test, build-ebpf, lint, generate, chart, image, cluster, bench, faults, fuzz-oracle"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs what is missing and shows the main job on real packets: first Flannel, then an enforcing CNI (root)
    Demo,
    /// Installs what tests need and runs everything that CI runs: lint, eBPF object, chart, unit tests, kernel tests (root)
    Test,
    /// Rebuilds the eBPF object with the BPF toolchain it finds, and says what is missing when it finds none
    BuildEbpf(build_ebpf::Options),
    /// Formatting, clippy, rustdoc and licences, with warnings as errors
    Lint,
    /// Rewrites generated files: the JSON schema, pinned outputs and the suites' table of contents
    Generate,
    /// Lints the Helm chart and rewrites the manifests that are rendered from it
    Chart(chart::Options),
    /// Makes the images as OCI archives, without a registry and without a daemon
    Image(image::Options),
    /// A real Kubernetes on this machine, with a CNI that enforces or one that does not (root)
    Cluster {
        #[command(subcommand)]
        step: cluster::Step,
    },
    /// Runs the benchmarks and prints the machine's facts beside them (root)
    Bench {
        /// Only these: classifiers, ring, guide, suites, latency, oracle (which needs no root), sensor, bus, verifier, end-to-end, false-alarms
        parts: Vec<String>,
    },
    /// Plays every fault of the lab's catalogue on real packets and prints which were caught (root)
    Faults(faults::Options),
    /// Compares the policy engine with the literal reading on many random clusters
    FuzzOracle(fuzz_oracle::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Demo => demo::run(),
        Task::Test => test::run(),
        Task::BuildEbpf(options) => build_ebpf::run(&options),
        Task::Lint => lint::run(),
        Task::Generate => generate::run(),
        Task::Chart(options) => chart::run(&options),
        Task::Image(options) => image::run(&options).map(drop),
        Task::Cluster { step } => cluster::run(&step),
        Task::Bench { parts } => bench::run(&parts),
        Task::Faults(options) => faults::run(&options),
        Task::FuzzOracle(options) => fuzz_oracle::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
