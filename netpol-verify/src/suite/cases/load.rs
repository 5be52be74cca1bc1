//! A suite from its folder, embedded or yours.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use crate::{
    cluster::{Loaded, Place, Problem, document},
    suite::scenario::{Folder, folder_of, read_folder},
};

use super::{
    build::Builder,
    file::{CasesFile, SuiteFile},
    manifest,
    model::Suite,
};

const API_VERSION: &str = "netpol-verify.io/v1alpha1";
/// How many mistakes an error shows.
const SHOWN: usize = 20;

/// A suite cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// A file cannot be read.
    #[error("reading {path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file that is named is not there.
    #[error(
        "{path} names {file}, which is not there; a suite's files lie in its folder, its world there or one above"
    )]
    Missing {
        /// The file that names it.
        path: PathBuf,
        /// The name in it.
        file: String,
    },
    /// Something in it is wrong, and a suite is taken whole or not at all.
    #[error("mistakes in the suite ({}):{}", .0.len(), listed(.0))]
    Broken(Vec<Problem>),
}

fn listed(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems.iter().take(SHOWN) {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {problem}");
    }
    if problems.len() > SHOWN {
        text.push_str("\n  …");
    }
    text
}

macro_rules! embedded {
    ($folder:literal: $($file:literal),+ $(,)?) => {
        &[
            ("../world.yaml", include_str!("../../../suites/world.yaml")),
            $(($file, include_str!(concat!("../../../suites/", $folder, "/", $file)))),+
        ]
    };
}

const CYCLONUS: &[(&str, &str)] = embedded!("cyclonus":
    "suite.yaml", "targets.yaml", "rules.yaml", "peers.yaml", "two-ingress-peers.yaml", "two-egress-peers.yaml",
    "egress-ports.yaml", "ingress-ports.yaml", "two-ports.yaml", "actions.yaml", "conflicts.yaml", "e2e-copies.yaml");
const E2E: &[(&str, &str)] = embedded!("e2e":
    "suite.yaml", "selectors.yaml", "ports.yaml", "changes.yaml", "egress.yaml", "protocols.yaml", "api.yaml");
const CNP: &[(&str, &str)] = embedded!("cnp":
    "suite.yaml", "world.yaml", "admin-ingress.yaml", "admin-egress.yaml", "admin.yaml", "baseline-ingress.yaml",
    "baseline-egress.yaml", "baseline.yaml");
const OWN: &[(&str, &str)] = embedded!("own":
    "suite.yaml", "world.yaml", "targets.yaml", "peers.yaml", "blocks.yaml", "ranges.yaml", "ports.yaml", "names.yaml",
    "rules.yaml", "types.yaml", "changes.yaml", "lives.yaml", "hosts.yaml", "services.yaml",
    "outside.yaml", "restarts.yaml", "updates.yaml");

impl Suite {
    /// The names of embedded suites.
    pub const EMBEDDED: [&'static str; 4] = ["cyclonus", "e2e", "cnp", "own"];

    /// An embedded suite by name, else a folder.
    ///
    /// # Errors
    /// Neither is there, or something in it is wrong; every mistake is named with file, line and path.
    pub fn load(name: &str) -> Result<Self, SuiteError> {
        match name {
            "cyclonus" => Self::from_folder(name, &Path::new("suites").join(name), &folder_of(CYCLONUS)),
            "e2e" => Self::from_folder(name, &Path::new("suites").join(name), &folder_of(E2E)),
            "cnp" => Self::from_folder(name, &Path::new("suites").join(name), &folder_of(CNP)),
            "own" => Self::from_folder(name, &Path::new("suites").join(name), &folder_of(OWN)),
            folder => {
                let path = Path::new(folder);
                let mut files =
                    read_folder(path).map_err(|(path, source)| SuiteError::Read { path, source })?;
                if let Some(above) = path.parent().and_then(|above| read_folder(above).ok()) {
                    let above = above.into_iter();
                    files.extend(above.map(|(file, text)| (format!("../{file}"), text)));
                }
                let short = path
                    .file_name()
                    .map_or(folder.into(), |name| name.to_string_lossy());
                Self::from_folder(&short, path, &files)
            }
        }
    }

    pub(super) fn from_folder(name: &str, path: &Path, files: &Folder) -> Result<Self, SuiteError> {
        let top = path.join("suite.yaml");
        let find = |named_by: &Path, file: &str| -> Result<(PathBuf, &str), SuiteError> {
            match files.get(file) {
                Some(text) => Ok((path.join(file), text.as_str())),
                None => Err(SuiteError::Missing {
                    path: named_by.to_path_buf(),
                    file: file.to_owned(),
                }),
            }
        };
        let (_, text) = find(path, "suite.yaml")?;
        let (file, _): (SuiteFile, _) = read(text, &top)?;
        headed(&file.api_version, &file.kind, "Suite", &top)?;
        let (world_path, world) = find(&top, &file.world)?;
        let loaded = Loaded::from_text(world, &world_path);
        let mut known = manifest::known(world);
        known.extend(file.manifests);
        let suite = Self {
            name: name.to_owned(),
            title: file.title,
            world: loaded.objects,
            ports: file.ports,
            features: file.features,
            cases: Vec::new(),
        };
        let mut builder = Builder::new(suite, known);
        builder.problems.extend(loaded.problems);
        for name in &file.cases {
            let (path, text) = find(&top, name)?;
            let (cases, document): (CasesFile, _) = read(text, &path)?;
            headed(&cases.api_version, &cases.kind, "Cases", &path)?;
            builder.file(cases, &document, &path);
        }
        if builder.problems.is_empty() {
            Ok(builder.suite)
        } else {
            Err(SuiteError::Broken(builder.problems))
        }
    }
}

/// The one document of a file.
fn read<'a, T: DeserializeOwned + Send>(
    text: &'a str,
    path: &Path,
) -> Result<(T, document::Document<'a>), SuiteError> {
    let mut documents = document::split(text);
    let (Some(document), true) = (documents.pop(), documents.is_empty()) else {
        return Err(broken(path, 0, "expected one YAML document".to_owned()));
    };
    let parsed = document
        .read()
        .map_err(|error| broken(path, error.line, error.message))?;
    Ok((parsed, document))
}

fn headed(api_version: &str, kind: &str, expected: &str, path: &Path) -> Result<(), SuiteError> {
    if api_version == API_VERSION && kind == expected {
        return Ok(());
    }
    let message = format!("found {api_version:?} {kind:?}; expected {API_VERSION} {expected}");
    Err(broken(path, 1, message))
}

fn broken(path: &Path, line: u64, message: String) -> SuiteError {
    SuiteError::Broken(vec![Problem {
        place: Place {
            file: path.to_owned(),
            line,
        },
        object: None,
        path: None,
        message,
    }])
}
