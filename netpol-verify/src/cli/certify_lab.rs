//! `certify --lab`: suites played in a virtual cluster on this machine.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::{
    doctor,
    options::{LabArguments, LabCommand, LabRun, OutputOptions},
    runtime::told_to_end,
};
use crate::{
    cluster::ClusterState,
    lab::{
        RuntimeDir,
        enforcer::{EnforcerSpec, ParseEnforcerError},
        fault::Fault,
        residue,
        topology::{Plan, Plugins, TopologyError, VirtualCluster, Wiring},
    },
    report::Certification,
    suite::{
        Cni, LabScene, Labels, ParseCniError, Record, RecordError, Stand, StandError, cases::Case,
        cases::Suite, environment, lab_losses, play_all,
    },
};

/// The lab instead of a cluster.
#[derive(Args, Clone, Debug)]
pub(super) struct CertifyLabOptions {
    /// In a virtual cluster on this machine instead (root). --cni is then flannel, kubenet or enforcing.
    #[arg(long, conflicts_with_all = ["existing", "kubeconfig", "context", "image", "nats_image", "image_pull_policy", "keep"])]
    pub(super) lab: bool,
    /// In the lab: how pods are wired, instead of the CNI's way.
    #[arg(long, value_name = "bridge|routed", requires = "lab")]
    wiring: Option<Wiring>,
    /// In the lab: who enforces, instead of the CNI's own; `exec:PATH` is a program of yours.
    #[arg(long, value_name = "ENFORCER", requires = "lab")]
    enforcer: Option<EnforcerSpec>,
    /// In the lab: a known way to be wrong, put into the enforcer on purpose (`lab --list-faults`).
    #[arg(long, value_name = "ID", requires = "lab")]
    fault: Option<Fault>,
    /// In the lab: seconds that a program of yours has for each answer.
    #[arg(long, default_value_t = 10, requires = "lab", value_parser = clap::value_parser!(u64).range(1..=600))]
    enforcer_timeout: u64,
}

/// There is no certification.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertifyLabError {
    #[error(transparent)]
    Cni(#[from] ParseCniError),
    #[error(transparent)]
    Enforcer(#[from] ParseEnforcerError),
    #[error(transparent)]
    Stand(#[from] StandError),
    #[error(transparent)]
    Topology(#[from] TopologyError),
    #[error("cleaning up after earlier runs: {0}")]
    Residue(#[from] residue::ResidueError),
    #[error("the lab needs root; missing: {}", .0.join(", "))]
    Capabilities(Vec<String>),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("waiting for signals: {0}")]
    Signal(#[source] std::io::Error),
    #[error("interrupted; everything that was made is removed")]
    Interrupted,
}

impl CertifyLabError {
    /// Whether the command line is at fault.
    pub(super) const fn is_usage(&self) -> bool {
        matches!(self, Self::Cni(_) | Self::Enforcer(_)) || self.is_record_usage()
    }

    const fn is_record_usage(&self) -> bool {
        matches!(self, Self::Record(error) if error.is_usage())
    }
}

/// What is played, and what is said while it is.
pub(super) struct LabSuites<'a> {
    pub(super) suites: &'a [Suite],
    pub(super) chosen: &'a [(&'a Suite, &'a Case)],
    pub(super) cni: Option<&'a str>,
    pub(super) settle: Option<u64>,
    pub(super) nodes: u16,
    pub(super) record: &'a mut Record,
    pub(super) progress: &'a dyn Fn(&str),
}

fn capable() -> Result<(), CertifyLabError> {
    let missing = doctor::missing_capabilities();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(CertifyLabError::Capabilities(missing))
    }
}

/// Does what needs the lab until it is done or interrupted: dropped, it removes what it made.
pub(super) async fn interruptible<T>(
    work: impl Future<Output = Result<T, CertifyLabError>>,
) -> Result<T, CertifyLabError> {
    capable()?;
    let stop = told_to_end().map_err(CertifyLabError::Signal)?;
    tokio::select! {
        done = work => done,
        () = stop => Err(CertifyLabError::Interrupted),
    }
}

impl CertifyLabOptions {
    /// Who enforces, and in whose name.
    fn preset(&self, cni: Option<&str>) -> Result<(Cni, EnforcerSpec), CertifyLabError> {
        let cni = cni.unwrap_or("enforcing").parse::<Cni>()?;
        let enforcer = self.enforcer.clone().unwrap_or_else(|| cni.enforcer());
        // Said before anything is built.
        enforcer.build(self.fault, Duration::from_secs(self.enforcer_timeout))?;
        Ok((cni, enforcer))
    }

    /// The same lab for a scenario in stages.
    pub(super) fn scenario(
        &self,
        name: &str,
        cni: Option<&str>,
        nodes: u16,
        print: &OutputOptions,
    ) -> Result<LabArguments, CertifyLabError> {
        let (cni, enforcer) = self.preset(cni)?;
        let run = LabRun {
            cni,
            wiring: self.wiring,
            enforcer: Some(enforcer),
            fault: self.fault,
            list_faults: false,
            scenario: name.to_owned(),
            nodes,
            enforcer_timeout: self.enforcer_timeout,
            ebpf_object: None,
            clean: false,
            print: print.clone(),
        };
        Ok(LabArguments {
            command: Some(LabCommand::Run(run.clone())),
            run,
        })
    }

    /// What results may be mixed with: those of the same CNI, enforcer, fault and wiring. Said before anything is written where no
    /// lab can be made.
    pub(super) fn place(&self, cni: Option<&str>, nodes: u16) -> Result<String, CertifyLabError> {
        let (cni, enforcer) = self.preset(cni)?;
        capable()?;
        let fault = self.fault.map_or("none", Fault::id);
        let wiring = self.wiring.unwrap_or_else(|| cni.wiring());
        Ok(format!(
            "lab {cni} {enforcer} {wiring:?} fault {fault} nodes {nodes}"
        ))
    }

    /// Builds the lab, plays every chosen case on it, and takes it down again.
    pub(super) async fn certify(&self, what: LabSuites<'_>) -> Result<Certification, CertifyLabError> {
        interruptible(self.work(what)).await
    }

    /// A lab of these objects, with whoever enforces in it.
    pub(super) async fn stand(
        &self,
        cni: Option<&str>,
        nodes: u16,
        state: ClusterState,
    ) -> Result<Stand, CertifyLabError> {
        let (cni, enforcer) = self.preset(cni)?;
        let maker = enforcer.build(self.fault, Duration::from_secs(self.enforcer_timeout))?;
        let dir = RuntimeDir::standard();
        for removed in residue::clean(&dir, false)? {
            tracing::info!(%removed, "An earlier run had left this behind.");
        }
        let plan = Plan {
            wiring: self.wiring.unwrap_or_else(|| cni.wiring()),
            nodes: usize::from(nodes),
            pods: state.snapshot().pods,
            // Cases about addresses need the pods where they say; the plugins choose by themselves.
            plugins: Plugins::Never,
        };
        let cluster = VirtualCluster::build(&plan, &dir).await?;
        let mut stand = Stand::new(cluster, state, maker).await?;
        stand.enforce().await?;
        Ok(stand)
    }

    async fn work(&self, what: LabSuites<'_>) -> Result<Certification, CertifyLabError> {
        let LabSuites {
            suites,
            chosen,
            record,
            progress,
            ..
        } = what;
        let started = Timestamp::now();
        let (cni, enforcer) = self.preset(what.cni)?;
        progress("building the virtual cluster");
        let mut state = ClusterState::default();
        if let Some((suite, _)) = chosen.first() {
            state.apply(suite.world.iter().cloned());
        }
        let stand = self.stand(what.cni, what.nodes, state).await?;
        let labels = Labels {
            cni: cni.to_string(),
            enforcer: enforcer.to_string(),
            fault: self.fault.map(|fault| fault.id().to_owned()),
            scenario: None,
        };
        let mut scene = LabScene::new(stand, Duration::from_secs(what.settle.unwrap_or(0)));
        let results = play_all::<_, CertifyLabError>(&mut scene, chosen, record, progress).await?;
        let (environment, losses) = (environment(scene.stand(), labels), lab_losses(scene.stand()));
        scene.into_stand().down().await?;
        Ok(results.certification(suites, environment, losses, started))
    }
}
