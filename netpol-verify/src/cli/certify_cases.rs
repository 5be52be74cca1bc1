//! Which cases `certify` plays, and what becomes of the certification: printed, compared, written for upstream.

use std::{fs, io, path::PathBuf};

use clap::Args;

use crate::{
    report::{
        self, CONFORMANCE_SUITE, Certification, certification_table, conformance_report, difference_table,
    },
    suite::{
        Record, RunName, Selection, Shard,
        cases::{Case, Suite},
    },
};

use super::{
    options::Output,
    stream::{complain, style},
};

/// Which cases of a suite.
#[derive(Args, Clone, Debug)]
pub(super) struct CaseOptions {
    /// Only cases that are so named or have such a feature: `CY-013`, `CY-1*`, `end-port`; with commas, all of them at once; may
    /// be repeated.
    #[arg(long = "filter", value_name = "WORD[,WORD]", conflicts_with = "existing")]
    filters: Vec<String>,
    /// Only a part of the cases, for machines that share them: 2/5.
    #[arg(long, value_name = "I/N", conflicts_with = "existing")]
    shard: Option<Shard>,
    /// Go on with a run that was interrupted, by the name that it said.
    #[arg(long, value_name = "RUN", conflicts_with = "existing")]
    resume: Option<String>,
    /// Say what changed since a certification that was kept by `-o json`.
    #[arg(long, value_name = "OLD.json", conflicts_with = "existing")]
    compare: Option<PathBuf>,
    /// Write the report that network-policy-api collects, of the suite cnp.
    #[arg(long, value_name = "FILE.yaml", conflicts_with = "existing")]
    conformance: Option<PathBuf>,
}

/// A certification cannot be compared or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum CasesError {
    #[error("reading {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is no certification as `certify -o json` writes it: {source}")]
    NoCertification {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error(
        "--{flag} is about cases: choose --suite cyclonus, e2e, cnp, own, all, or a folder with suite.yaml"
    )]
    NoCases { flag: &'static str },
    #[error("--conformance is of the suite cnp, and none of its cases was played")]
    NoConformance,
    #[error("writing {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("writing the conformance report as YAML: {0}")]
    Yaml(#[from] report::YamlError),
    #[error("writing the report as JSON: {0}")]
    Json(#[source] serde_json::Error),
}

impl CasesError {
    pub(super) const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Read { .. } | Self::NoCertification { .. } | Self::NoCases { .. } | Self::NoConformance
        )
    }
}

impl CaseOptions {
    /// Refused where there are no cases.
    pub(super) fn only_without(&self) -> Result<(), CasesError> {
        let said = [
            ("filter", !self.filters.is_empty()),
            ("shard", self.shard.is_some()),
            ("resume", self.resume.is_some()),
            ("compare", self.compare.is_some()),
            ("conformance", self.conformance.is_some()),
        ];
        match said.into_iter().find(|(_, is_said)| *is_said) {
            Some((flag, _)) => Err(CasesError::NoCases { flag }),
            None => Ok(()),
        }
    }

    pub(super) fn selection(&self, seed: Option<u64>) -> Selection {
        Selection {
            filters: self.filters.clone(),
            shard: self.shard,
            seed,
        }
    }

    /// The name of a new run, or of the one that this goes on with.
    pub(super) fn run_name(&self) -> RunName {
        match &self.resume {
            Some(run) => RunName::Interrupted(run.clone()),
            None => RunName::New(Record::new_name()),
        }
    }

    /// Refuses what cannot come of the chosen cases, before any is played.
    pub(super) fn check(&self, chosen: &[(&Suite, &Case)]) -> Result<(), CasesError> {
        let has_some = chosen.iter().any(|(suite, _)| suite.name == CONFORMANCE_SUITE);
        match (&self.conformance, has_some) {
            (Some(_), false) => Err(CasesError::NoConformance),
            _ => Ok(()),
        }
    }

    /// Tells how to go on with a run that ended early, where anything of it is kept.
    pub(super) fn say_how_to_go_on(run: &RunName) {
        let folder = Record::folder();
        if let Err(error) = Record::forget_without_results(&folder, run.name()) {
            tracing::debug!(%error, "An empty record stays behind.");
        }
        if Record::holds_results(&folder, run.name()) {
            complain(&format!(
                "What was played is kept: go on by the same command with --resume {}",
                run.name()
            ));
        }
    }

    /// What this one is compared with, read before anything is played.
    pub(super) fn before(&self) -> Result<Option<Certification>, CasesError> {
        let Some(path) = &self.compare else {
            return Ok(None);
        };
        let text = fs::read_to_string(path).map_err(|source| CasesError::Read {
            path: path.clone(),
            source,
        })?;
        let read = serde_json::from_str(&text).map_err(|source| CasesError::NoCertification {
            path: path.clone(),
            source,
        })?;
        Ok(Some(read))
    }

    /// The certification as text.
    pub(super) fn text(
        run: &Certification,
        before: Option<&Certification>,
        output: Output,
    ) -> Result<String, CasesError> {
        match output {
            Output::Json => report::certification_json(run).map_err(CasesError::Json),
            Output::Table => {
                let mut text = certification_table(run, style());
                if let Some(before) = before {
                    text.push('\n');
                    text.push_str(&difference_table(before, run, style()));
                }
                Ok(text)
            }
        }
    }

    /// Writes the certification for upstream, where that was asked.
    pub(super) fn write_conformance(&self, run: &Certification) -> Result<(), CasesError> {
        let Some(path) = &self.conformance else {
            return Ok(());
        };
        let yaml = conformance_report(run)?.ok_or(CasesError::NoConformance)?;
        fs::write(path, yaml).map_err(|source| CasesError::Write {
            path: path.clone(),
            source,
        })
    }
}
