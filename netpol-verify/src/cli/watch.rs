//! `watch`: verdicts as they are given, of the cluster's verifier, or of this node alone.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{Args, ValueEnum};

use super::{
    exit::{Exit, fail},
    runtime,
    verifier::{ServiceOptions, VerifierError, listen, serve_all},
};
use crate::{
    bus::LocalBus,
    cluster::{LiveCluster, LiveError},
    finding::{JudgedAttempt, Verdict},
    kernel::KernelFacts,
    report::{escape, escape_to, harmless},
    sensor::{Mode, Options, Pods, Roots, Sensor, SensorError},
    verifier::{JudgedLine, LocalSensors, Service, Share, verdicts},
};

/// Messages between the sensor and the verifier of one process.
const BUS: usize = 1 << 14;
/// How often the sensor proves that it is alive.
const HEARTBEAT: Duration = Duration::from_millis(200);
/// The Service of the chart and of the plain manifests.
const SERVICE: &str = "netpol-verify-verifier";
const PORT: &str = "http";

/// Verdicts as they are given.
#[derive(Args, Clone, Debug)]
pub(super) struct WatchOptions {
    /// Connections from or to pods of this namespace; the context's where none is named.
    #[arg(long, short, value_name = "NAME", conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// Connections of all namespaces.
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// These verdicts only, parted by commas: leak, overblock, enforced, permitted, unspecified, inconclusive.
    #[arg(long, value_name = "VERDICT,…")]
    verdict: Option<String>,
    /// Findings only, instead of every attempt.
    #[arg(long, conflicts_with = "verdict")]
    findings: bool,
    /// How to print.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Lining,
    /// The verifier, as http://host:port, instead of through the API server.
    #[arg(long, value_name = "URL", conflicts_with = "local")]
    url: Option<String>,
    /// The namespace that netpol-verify is installed in.
    #[arg(long, default_value = "netpol-verify", value_name = "NAME")]
    installed_in: String,
    /// Sensor and verifier of this node alone, in this process: for a cluster of one node. Needs root, and nothing installed.
    #[arg(long)]
    local: bool,
    /// With --local: the node's name as the Kubernetes API knows it; the machine's where none is named.
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    node: Option<String>,
    /// With --local: kubelet's part of the cgroup tree, where several nodes share one machine.
    #[arg(long, value_name = "PATH")]
    cgroup_root: Option<String>,
    #[command(flatten)]
    service: ServiceOptions,
}

/// How lines are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lining {
    /// For people.
    Table,
    /// For programs: a JSON document a line.
    Jsonl,
}

#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error(transparent)]
    Verifier(#[from] VerifierError),
    #[error(transparent)]
    Sensor(#[from] SensorError),
    #[error("the machine's name cannot be read: {0}; name the node with --node")]
    Hostname(#[source] io::Error),
    #[error("writing to standard output: {0}")]
    Output(#[source] io::Error),
    #[error("the verifier ended the stream; see that it runs, and watch again")]
    Ended,
    #[error(
        "this reader was too slow: {missed} verdicts were missed; watch less, with --verdict or --namespace"
    )]
    TooSlow { missed: u64 },
}

/// Runs until it is interrupted.
pub(super) fn main(options: &WatchOptions) -> ExitCode {
    if let Some(text) = &options.verdict
        && let Err(error) = verdicts(text)
    {
        return fail(Exit::Usage, &error);
    }
    match runtime::run(watch(options), |error| VerifierError::Runtime(error).into()) {
        Ok(()) => Exit::Good.into(),
        Err(error) => fail(Exit::Environment, &error),
    }
}

async fn watch(options: &WatchOptions) -> Result<(), WatchError> {
    if options.local {
        return local(options).await;
    }
    if let Some(url) = &options.url {
        let server = LiveCluster::at(url)?;
        return print(options, &server, &path(options, "", options.namespace.as_deref())).await;
    }
    let cluster = LiveCluster::find(&options.service.access()).await?;
    let namespace = options.namespace.as_deref().unwrap_or(cluster.namespace());
    let proxy = LiveCluster::proxy_path(&options.installed_in, SERVICE, PORT);
    print(options, &cluster, &path(options, &proxy, Some(namespace))).await
}

/// Sensor and verifier in this process; their verdicts are read as anybody would read them.
async fn local(options: &WatchOptions) -> Result<(), WatchError> {
    let cluster = LiveCluster::find(&options.service.access()).await?;
    let node = match &options.node {
        Some(node) => node.clone(),
        None => std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map_err(WatchError::Hostname)?
            .trim()
            .to_lowercase(),
    };
    let (bus, inbox) = LocalBus::new(BUS);
    let pods = Pods::Kubernetes(Roots {
        proc: PathBuf::from("/proc"),
        cgroup: options.cgroup_root.clone(),
        ..Roots::default()
    });
    let choices = Options {
        heartbeat: Some(HEARTBEAT),
        ..Options::default()
    };
    let facts = KernelFacts::of_kernel();
    let sensor = Sensor::start_with(
        &facts,
        Mode::Passive,
        node.as_str().into(),
        Arc::new(bus),
        pods,
        choices,
    )
    .await?;
    let sensors = Arc::new(LocalSensors::new(node, Arc::new(sensor)));
    let listener = listen(options.service.listen).await?;
    let address = listener.local_addr().map_err(VerifierError::Runtime)?;
    let limits = options.service.limits();
    let service = Service::new(None, Share::ALL, limits, sensors, inbox, Box::new(|| Ok(())));
    let server = LiveCluster::at(&format!("http://{address}"))?;
    let namespace = options.namespace.as_deref().unwrap_or(cluster.namespace());
    let path = path(options, "", Some(namespace));
    tokio::select! {
        done = serve_all(service, &cluster, listener) => Ok(done?),
        done = print(options, &server, &path) => done,
    }
}

/// Where the verdicts that are asked for are told.
fn path(options: &WatchOptions, prefix: &str, namespace: Option<&str>) -> String {
    let mut path = format!("{prefix}/v1/findings?watch=1");
    // Writing to a String cannot fail.
    if !options.findings && options.verdict.is_none() {
        path.push_str("&verdicts=all");
    }
    if let Some(verdict) = &options.verdict {
        let _ = write!(path, "&verdict={verdict}");
    }
    if let Some(namespace) = namespace.filter(|_| !options.all_namespaces) {
        let _ = write!(path, "&namespace={namespace}");
    }
    path
}

/// Prints what is told, until it ends or nobody reads.
async fn print(options: &WatchOptions, server: &LiveCluster, path: &str) -> Result<(), WatchError> {
    let mut lines = server.lines(path).await?;
    if options.output == Lining::Table && !write_line(&head())? {
        return Ok(());
    }
    loop {
        let line = tokio::select! {
            line = lines.next() => line?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let Some(line) = line else {
            return Err(WatchError::Ended);
        };
        if line.is_empty() {
            continue;
        }
        let Ok(judged) = serde_json::from_str::<JudgedLine>(&line) else {
            let last: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            let missed = last.get("missed").and_then(serde_json::Value::as_u64);
            match missed {
                Some(missed) => return Err(WatchError::TooSlow { missed }),
                // A newer verifier may have more to say.
                None => continue,
            }
        };
        let text = match options.output {
            Lining::Table => row(&judged),
            Lining::Jsonl => harmless(&line),
        };
        if !write_line(&text)? {
            return Ok(());
        }
    }
}

/// Whether anybody reads.
fn write_line(text: &str) -> Result<bool, WatchError> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(WatchError::Output(error)),
    }
}

fn head() -> String {
    columns(["TIME", "VERDICT", "FROM", "TO", "PORT", "OBSERVED", "WHY"])
}

fn columns([time, verdict, from, to, port, observed, why]: [&str; 7]) -> String {
    format!("{time:<9} {verdict:<13} {from:<30} {to:<30} {port:<10} {observed:<11} {why}")
        .trim_end()
        .to_owned()
}

fn row(judged: &JudgedLine) -> String {
    let JudgedLine { at, code, attempt } = judged;
    let time = at.strftime("%H:%M:%SZ").to_string();
    let verdict = match code {
        Some(code) => format!("{} {}", short(attempt.verdict), escape_to(code, 8)),
        None => attempt.verdict.to_string(),
    };
    let port = format!("{}/{}", attempt.port, attempt.protocol);
    columns([
        &time,
        &verdict,
        &escape(&attempt.from),
        &escape(&attempt.to),
        &port,
        &attempt.observed.to_string(),
        &why(attempt),
    ])
}

/// With its code beside it, a verdict has little room.
const fn short(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Enforced => "Enforced",
        Verdict::Permitted => "Permitted",
        Verdict::Leak => "Leak",
        Verdict::Overblock => "Block",
        Verdict::Unspecified => "Open",
        Verdict::Inconclusive => "?",
    }
}

fn why(attempt: &JudgedAttempt) -> String {
    let mut parts = Vec::new();
    if !attempt.by.is_empty() {
        parts.push(attempt.by.join(", "));
    }
    parts.extend(attempt.reason.clone());
    escape(&parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::row;
    use crate::{
        finding::{JudgedAttempt, Verdict},
        verifier::JudgedLine,
    };

    #[test]
    fn a_row_holds_nothing_that_a_terminal_obeys() {
        let judged = JudgedLine {
            at: "2026-11-28T18:00:01Z".parse().unwrap(),
            code: Some("NPV001".to_owned()),
            attempt: JudgedAttempt {
                by: vec!["shop/deny\n (ingress)".to_owned()],
                ..JudgedAttempt::example("shop/\u{1b}[31ma", "shop/b", Verdict::Leak)
            },
        };
        assert_eq!(
            row(&judged),
            "18:00:01Z Leak NPV001   shop/\\x1b[31ma                 shop/b                         80/TCP     delivered   shop/deny\\x0a (ingress)"
        );
    }
}
