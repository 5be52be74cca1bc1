//! `certify --lab --fuzz N`: random policies and pods against an enforcer, and the least that shows what is wrong.

use std::{process::ExitCode, time::Duration};

use clap::Args;

use super::{
    certify_lab::{CertifyLabError, CertifyLabOptions, interruptible},
    exit::Exit,
    options::Output,
};
use crate::{
    cluster::ClusterState,
    report::Fuzzed,
    suite::{Fuzzing, LabScene, fuzz},
};

/// Random clusters instead of a suite.
#[derive(Args, Clone, Debug)]
pub(super) struct FuzzOptions {
    /// Instead of a suite: so many clusters of random pods and policies, drawn from --seed. What breaks a policy is shrunk to
    /// the fewest policies, rules and pods that still do, and printed as a manifest.
    #[arg(long, value_name = "N", requires = "lab", conflicts_with = "suite", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(super) fuzz: Option<u64>,
}

/// What is hunted with, and what is said meanwhile.
pub(super) struct Hunt<'a> {
    pub(super) fuzzing: Fuzzing,
    pub(super) cni: Option<&'a str>,
    pub(super) settle: Option<u64>,
    pub(super) nodes: u16,
    pub(super) progress: &'a dyn Fn(&str),
}

impl CertifyLabOptions {
    /// Builds the lab, hunts on it, and takes it down again.
    pub(super) async fn fuzz(&self, hunt: Hunt<'_>) -> Result<Fuzzed, CertifyLabError> {
        interruptible(self.hunt(hunt)).await
    }

    async fn hunt(&self, hunt: Hunt<'_>) -> Result<Fuzzed, CertifyLabError> {
        let Hunt {
            fuzzing,
            cni,
            settle,
            nodes,
            progress,
        } = hunt;
        progress("building the virtual cluster");
        let stand = self.stand(cni, nodes, ClusterState::default()).await?;
        let mut scene = LabScene::new(stand, Duration::from_secs(settle.unwrap_or(0)));
        let fuzzed = fuzz(&mut scene, fuzzing, |played, violations| {
            progress(&format!(
                "cluster {played} of {}, {violations} violations",
                fuzzing.clusters
            ));
        })
        .await?;
        scene.into_stand().down().await?;
        Ok(fuzzed)
    }
}

/// The hunt as it is printed.
pub(super) fn text(fuzzed: &Fuzzed, output: Output) -> Result<String, serde_json::Error> {
    match output {
        Output::Json => fuzzed.json(),
        Output::Table => Ok(fuzzed.text()),
    }
}

/// 1 where a policy was broken, 3 where nothing is proven, else 0.
pub(super) fn exit(fuzzed: &Fuzzed) -> ExitCode {
    if fuzzed.violations() > 0 {
        Exit::Violation.into()
    } else if fuzzed.is_conclusive() {
        Exit::Good.into()
    } else {
        Exit::Inconclusive.into()
    }
}
