//! `cargo xtask chart`: the Helm chart linted with several sets of values, and the files that are made from it.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{command, helm};

const CHART: &str = "deploy/chart";
const DASHBOARD: &str = "deploy/grafana/dashboard.json";
/// A chart can only read what lies in its own folder.
const DASHBOARD_OF_THE_CHART: &str = "deploy/chart/files/dashboard.json";
/// The second is inside the crate, so that the crate can be published with it.
const MANIFESTS: [&str; 2] = ["deploy/install.yaml", "netpol-verify/deploy/install.yaml"];

/// No Secret in a file that everybody has: `netpol-verify secrets` prints one.
const PLAIN: &[&str] = &["nats.existingSecret=netpol-verify-nats", "namespace.create=true"];
/// Ways in which people will use the chart; each must lint and render.
const USES: [&[&str]; 5] = [
    &[],
    PLAIN,
    &[
        "nats.enabled=false",
        "nats.url=tls://nats.nats:4222",
        "nats.existingSecret=mine",
    ],
    &["monitoring.enabled=true", "monitoring.labels.release=prometheus"],
    &[
        "networkPolicy.nodeCIDRs={10.0.0.0/16,fd00::/64}",
        "sensor.priorityClassName=",
    ],
];

const HEAD: &str = "\
# netpol-verify in a cluster: a sensor on each node, a verifier, and NATS between them.
# Rendered from deploy/chart by `cargo xtask chart`; edit that instead. It holds no secret; the pods wait for theirs:
#   kubectl apply -f install.yaml && netpol-verify secrets | kubectl apply -f -
";

/// Options of `chart`.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Compare with the committed files instead of rewriting them
    #[arg(long)]
    pub(crate) check: bool,
}

/// Lints, renders, then compares or writes.
pub(crate) fn run(options: &Options) -> Result<()> {
    let dashboard = read(DASHBOARD)?;
    serde_json::from_str::<serde_json::Value>(&dashboard)
        .with_context(|| format!("{DASHBOARD} is no JSON"))?;
    settle(DASHBOARD_OF_THE_CHART, &dashboard, options.check)?;
    for values in USES {
        command::run(with(
            helm::program()?.args(["lint", "--strict", "--quiet", CHART]),
            values,
        ))?;
        render(values)?;
    }
    let manifests = format!("{HEAD}{}", render(PLAIN)?);
    for file in MANIFESTS {
        settle(file, &manifests, options.check)?;
    }
    println!(
        "The chart: linted and rendered with {} sets of values; {} {}.",
        USES.len(),
        MANIFESTS.join(" and "),
        if options.check {
            "are what it gives"
        } else {
            "written"
        }
    );
    Ok(())
}

fn render(values: &[&str]) -> Result<String> {
    let mut helm = helm::program()?;
    helm.args(["template", "netpol-verify", CHART, "--namespace", "netpol-verify"]);
    let rendered = command::output(with(&mut helm, values))?;
    // Templates leave blanks on empty lines; in a committed file they would only show up in reviews.
    Ok(rendered
        .lines()
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect())
}

fn with<'a>(helm: &'a mut Command, values: &[&str]) -> &'a mut Command {
    for value in values {
        helm.args(["--set", value]);
    }
    helm
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(command::workspace().join(file)).with_context(|| format!("cannot read {file}"))
}

/// Writes a file that others determine, or holds it to them.
fn settle(file: &str, wanted: &str, check: bool) -> Result<()> {
    if check {
        if read(file)? != wanted {
            bail!("{file} is not what the chart gives: run `cargo xtask chart` and commit it");
        }
        return Ok(());
    }
    let path = command::workspace().join(file);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, wanted).with_context(|| format!("cannot write {file}"))
}
