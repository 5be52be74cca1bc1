//! `lab`: run, up, apply, delete, verify, down.

use std::{
    fs,
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{
    doctor,
    exit::{Exit, fail},
    input::say_problems,
    intent::{IntentError, read_intent},
    options::{LabArguments, LabCommand, LabFiles, LabRun, LabVerify, Output},
    runtime::{one_thread, told_to_end},
    stream::{say, style},
};
use crate::{
    cluster::{ClusterState, Loaded, Object},
    lab::{
        RuntimeDir,
        enforcer::{EnforcerSpec, ParseEnforcerError},
        fault::{Fault, FaultClass},
        residue,
        state::{DEFAULT_LAB, LabLock, LabState, StateError},
        topology::{Plan, Plugins, TopologyError, VirtualCluster},
    },
    policy::Intent,
    report::{self, Run},
    sensor::Options,
    suite::{Labels, Recorder, Scenario, ScenarioError, Stand, StandError, load, play},
};

/// A lab command cannot be carried out.
#[derive(Debug, thiserror::Error)]
enum LabError {
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(transparent)]
    Enforcer(#[from] ParseEnforcerError),
    #[error("{0}: no pod is left to probe; see the problems above")]
    NoPods(String),
    #[error("reading {path}: {source}")]
    Read { path: String, source: io::Error },
    #[error(transparent)]
    Intent(#[from] IntentError),
    #[error("nothing in the manifests could be taken; see the problems above")]
    NothingLeft,
    #[error(transparent)]
    Stand(#[from] StandError),
    #[error(transparent)]
    Topology(#[from] TopologyError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("cleaning up after earlier runs: {0}")]
    Residue(#[from] residue::ResidueError),
    #[error("the standing lab's objects cannot be kept or read back: {0}; run `netpol-verify lab --clean`")]
    Objects(#[source] serde_json::Error),
    #[error(
        "the lab needs root; missing: {}. Without it `doctor`, `lab --list-faults`, `completions` and `man` still work",
        .0.join(", ")
    )]
    Capabilities(Vec<String>),
    #[error("starting the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("writing the report as JSON: {0}")]
    Json(#[source] serde_json::Error),
    #[error("writing to standard output: {0}")]
    Output(#[from] io::Error),
    #[error("interrupted; everything that was made is removed")]
    Interrupted,
}

impl LabError {
    const fn exit(&self) -> Exit {
        match self {
            Self::Scenario(_)
            | Self::Enforcer(_)
            | Self::NoPods(_)
            | Self::Read { .. }
            | Self::Intent(_)
            | Self::NothingLeft => Exit::Usage,
            Self::Stand(StandError::Topology(TopologyError::Placement(_)))
            | Self::Topology(TopologyError::Placement(_)) => Exit::Usage,
            Self::Stand(_)
            | Self::Topology(_)
            | Self::State(_)
            | Self::Residue(_)
            | Self::Objects(_)
            | Self::Capabilities(_)
            | Self::Runtime(_)
            | Self::Json(_)
            | Self::Output(_)
            | Self::Interrupted => Exit::Environment,
        }
    }
}

/// Runs a lab command.
pub(super) fn main(arguments: LabArguments) -> ExitCode {
    let command = arguments.command.unwrap_or(LabCommand::Run(arguments.run));
    if let LabCommand::Run(run) | LabCommand::Up(run) = &command
        && run.list_faults
    {
        return match list_faults() {
            Ok(()) => Exit::Good.into(),
            Err(error) => fail(Exit::Environment, &error),
        };
    }
    match carry_out(command) {
        Ok(exit) => exit,
        Err(error) => fail(error.exit(), &error),
    }
}

fn list_faults() -> io::Result<()> {
    let mut lines = Vec::new();
    for class in FaultClass::ALL {
        lines.push(format!("{class:?}: {}", class.title()));
        lines.extend(
            Fault::of_class(class)
                .map(|fault| format!("  {:<30}{:<11}{}", fault.id(), fault.harm(), fault.describe())),
        );
    }
    say(&lines.join("\n"))
}

fn carry_out(command: LabCommand) -> Result<ExitCode, LabError> {
    let missing = doctor::missing_capabilities();
    if !missing.is_empty() {
        return Err(LabError::Capabilities(missing));
    }
    let runtime = one_thread().map_err(LabError::Runtime)?;
    runtime.block_on(async {
        let dir = RuntimeDir::standard();
        match command {
            LabCommand::Run(run) if run.clean => clean(&dir),
            LabCommand::Run(run) => interruptible(self::run(run, &dir)).await,
            LabCommand::Up(run) => interruptible(up(run, &dir)).await,
            LabCommand::Apply(files) => change(&files, &dir, false).await,
            LabCommand::Delete(files) => change(&files, &dir, true).await,
            LabCommand::Verify(verify) => self::verify(&verify, &dir).await,
            LabCommand::Down => down(&dir).await,
        }
    })
}

/// Ctrl-C drops the work, and dropping removes what it made.
async fn interruptible(work: impl Future<Output = Result<ExitCode, LabError>>) -> Result<ExitCode, LabError> {
    let stop = told_to_end().map_err(LabError::Runtime)?;
    tokio::select! {
        done = work => done,
        () = stop => Err(LabError::Interrupted),
    }
}

fn clean(dir: &RuntimeDir) -> Result<ExitCode, LabError> {
    let _lock = LabLock::acquire(dir)?;
    let removed = residue::clean(dir, true)?;
    for one in &removed {
        say(&format!("removed {one}"))?;
    }
    if removed.is_empty() {
        say("nothing was left behind")?;
    }
    Ok(Exit::Good.into())
}

/// Builds what a command line asks for: the cluster, its enforcer, the eyes.
async fn build(
    run: &LabRun,
    scenario: &Scenario,
    dir: &RuntimeDir,
) -> Result<(Stand, Recorder, Labels), LabError> {
    let mut options = Options::default();
    if let Some(path) = &run.ebpf_object {
        let bytes = fs::read(path).map_err(|source| LabError::Read {
            path: path.display().to_string(),
            source,
        })?;
        // Read once, used until the process ends.
        options.object = Some(Box::leak(bytes.into_boxed_slice()));
    }
    let enforcer = run.enforcer.clone().unwrap_or_else(|| run.cni.enforcer());
    let maker = enforcer.build(run.fault, Duration::from_secs(run.enforcer_timeout))?;
    for removed in residue::clean(dir, false)? {
        tracing::info!(%removed, "An earlier run had left this behind.");
    }
    let loaded = load(&scenario.pods);
    say_problems(&loaded.problems);
    let mut state = ClusterState::default();
    state.apply(loaded.objects);
    // A pod that is over has no network of its own any more (R28).
    let pods: Vec<_> = state
        .snapshot()
        .pods
        .into_iter()
        .filter(|pod| !pod.phase.is_terminal())
        .collect();
    if pods.is_empty() {
        return Err(LabError::NoPods(scenario.title.clone()));
    }
    let plan = Plan {
        wiring: run.wiring.unwrap_or_else(|| run.cni.wiring()),
        nodes: usize::from(run.nodes),
        pods,
        plugins: Plugins::Auto,
    };
    let cluster = VirtualCluster::build(&plan, dir).await?;
    let mut stand = Stand::with(cluster, state, maker, options).await?;
    stand.enforce().await?;
    Ok((stand, Recorder::new(loaded.problems), labels(run, &enforcer)))
}

fn labels(run: &LabRun, enforcer: &EnforcerSpec) -> Labels {
    Labels {
        cni: run.cni.to_string(),
        enforcer: enforcer.to_string(),
        fault: run.fault.map(|fault| fault.id().to_owned()),
        scenario: Some(run.scenario.clone()),
    }
}

fn intent_of(scenario: &Scenario) -> Option<Intent> {
    let (file, text) = scenario.intent.as_ref()?;
    let (intent, problems) = Intent::parse(text, file);
    say_problems(&problems);
    Some(intent)
}

async fn run(run: LabRun, dir: &RuntimeDir) -> Result<ExitCode, LabError> {
    let scenario = Scenario::load(&run.scenario)?;
    let intent = intent_of(&scenario);
    let bar = progress(scenario.stages.len());
    bar.set_message("building the virtual cluster");
    let (mut stand, mut recorder, labels) = build(&run, &scenario, dir).await?;
    let said = recorder.problems().len();
    play(&mut stand, &scenario, &mut recorder, |index, title| {
        bar.set_position(u64::try_from(index).unwrap_or(0));
        bar.set_message(title.to_owned());
    })
    .await?;
    bar.finish_and_clear();
    say_problems(recorder.problems().get(said..).unwrap_or_default());
    let report = recorder.finish(&stand, labels, intent.as_ref());
    stand.down().await?;
    print(&report, run.print.output)
}

/// A bar on a terminal, nothing in a pipe.
fn progress(stages: usize) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(stages).unwrap_or(0));
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn print(report: &Run, output: Output) -> Result<ExitCode, LabError> {
    let text = match output {
        Output::Json => report::json(report).map_err(LabError::Json)?,
        Output::Table => report::table(report, style()),
    };
    say(&text)?;
    Ok(report.exit_code().into())
}

async fn up(run: LabRun, dir: &RuntimeDir) -> Result<ExitCode, LabError> {
    let _lock = LabLock::acquire(dir)?;
    LabState::ensure_free(dir, DEFAULT_LAB)?;
    let scenario = Scenario::load(&run.scenario)?;
    let (mut stand, _, labels) = build(&run, &scenario, dir).await?;
    for stage in &scenario.stages {
        let loaded = load(&stage.apply);
        say_problems(&loaded.problems);
        stand.apply(loaded.objects).await?;
    }
    let (cluster, state, mut enforcer) = stand.into_parts();
    enforcer.let_go().await.map_err(StandError::from)?;
    let mut saved = LabState::new(DEFAULT_LAB, cluster.record(), labels.enforcer.clone())?;
    saved.cni = labels.cni.clone();
    saved.fault = labels.fault.clone();
    saved.enforcer_timeout = run.enforcer_timeout;
    saved.objects = serde_json::to_value(&state).map_err(LabError::Objects)?;
    saved.save(dir)?;
    say(&format!(
        "The lab stands: {} nodes, {} pods ({}); enforcer {}.",
        cluster.nodes.len(),
        cluster.pods.len(),
        cluster.used,
        report::escape(&labels.enforcer)
    ))?;
    for pod in &cluster.pods {
        let addresses: Vec<String> = pod.addresses.iter().map(ToString::to_string).collect();
        say(&format!(
            "  {:<32}{:<8}{}  (ip netns exec {} …)",
            report::escape(&pod.name.to_string()),
            pod.node,
            addresses.join(" "),
            pod.netns.name()
        ))?;
    }
    say("Next: netpol-verify lab apply -f FILE · lab verify · lab down")?;
    cluster.leave_standing()?;
    Ok(Exit::Good.into())
}

/// Opens the standing lab again: cluster, objects, enforcer.
async fn reopen(dir: &RuntimeDir) -> Result<(Stand, LabState), LabError> {
    let saved = LabState::load(dir, DEFAULT_LAB)?;
    let cluster = VirtualCluster::reopen(&saved.cluster, dir)?;
    let state = serde_json::from_value(saved.objects.clone()).map_err(LabError::Objects)?;
    let spec: EnforcerSpec = saved.enforcer.parse()?;
    let fault = saved.fault.as_deref().and_then(|id| id.parse::<Fault>().ok());
    let maker = spec.build(fault, Duration::from_secs(saved.enforcer_timeout))?;
    Ok((Stand::new(cluster, state, maker).await?, saved))
}

async fn change(files: &LabFiles, dir: &RuntimeDir, delete: bool) -> Result<ExitCode, LabError> {
    let _lock = LabLock::acquire(dir)?;
    let loaded = Loaded::from_paths(&files.files);
    say_problems(&loaded.problems);
    if loaded.objects.is_empty() {
        return Err(LabError::NothingLeft);
    }
    let (mut stand, mut saved) = reopen(dir).await?;
    let keys: Vec<_> = loaded.objects.iter().map(Object::key).collect();
    for key in &keys {
        let done = if delete { "deleted" } else { "applied" };
        say(&format!("{} {done}", report::escape(&key.to_string())))?;
    }
    if delete {
        stand.delete(keys).await?;
    } else {
        stand.apply(loaded.objects).await?;
    }
    let (cluster, state, mut enforcer) = stand.into_parts();
    enforcer.let_go().await.map_err(StandError::from)?;
    saved.cluster = cluster.record();
    saved.objects = serde_json::to_value(&state).map_err(LabError::Objects)?;
    saved.save(dir)?;
    Ok(Exit::Good.into())
}

async fn verify(verify: &LabVerify, dir: &RuntimeDir) -> Result<ExitCode, LabError> {
    let _lock = LabLock::acquire(dir)?;
    let intent = match &verify.intent {
        None => None,
        Some(path) => {
            let (intent, problems) = read_intent(path)?;
            say_problems(&problems);
            Some(intent)
        }
    };
    let (mut stand, saved) = reopen(dir).await?;
    // What enforced ended with the command that started it, and may have taken its rules along.
    if saved.enforcer.parse::<EnforcerSpec>()?.ends_with_its_process() {
        stand.enforce().await?;
    }
    let labels = Labels {
        cni: saved.cni.clone(),
        enforcer: saved.enforcer.clone(),
        fault: saved.fault.clone(),
        scenario: None,
    };
    let mut recorder = Recorder::new(Vec::new());
    recorder
        .stage(&mut stand, "verify", Some("The lab as it stands"), &[])
        .await?;
    say_problems(recorder.problems());
    let report = recorder.finish(&stand, labels, intent.as_ref());
    let (_, _, mut enforcer) = stand.into_parts();
    enforcer.let_go().await.map_err(StandError::from)?;
    print(&report, verify.print.output)
}

async fn down(dir: &RuntimeDir) -> Result<ExitCode, LabError> {
    let _lock = LabLock::acquire(dir)?;
    let saved = LabState::load(dir, DEFAULT_LAB)?;
    match VirtualCluster::reopen(&saved.cluster, dir) {
        Ok(cluster) => cluster.remove().await?,
        // Part of it is gone already; the rest is residue once its state is.
        Err(error) => tracing::warn!(%error, "The lab is not whole any more."),
    }
    LabState::remove(dir, DEFAULT_LAB)?;
    residue::clean(dir, false)?;
    say("The lab is gone.")?;
    Ok(Exit::Good.into())
}
