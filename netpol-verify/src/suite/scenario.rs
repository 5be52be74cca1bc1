//! A scenario: manifests in stages, the paths to probe, and what the owner wants. A folder of files, embedded or yours.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Door, outside::is_outside};
use crate::{cluster::ObjectName, net::Protocol};

/// A scenario cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// A file cannot be read.
    #[error("reading {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// `scenario.yaml` is not one.
    #[error(
        "{path}: {message}; a scenario has `title`, `pods`, `stages[]{{name,title,apply[]}}` and optionally `probes[]`, `intent`"
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// A file that is named is not there.
    #[error("{path} names {file}, which is not in the folder")]
    Missing {
        /// The scenario file.
        path: PathBuf,
        /// The name in it.
        file: String,
    },
    /// A name that leaves the folder.
    #[error("{path} names {file}, which is outside the folder")]
    Outside {
        /// The scenario file.
        path: PathBuf,
        /// The name in it.
        file: String,
    },
}

/// A scenario: every file it needs is loaded.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its short name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Manifests that are there before the first stage: file and text.
    pub pods: Vec<(PathBuf, String)>,
    /// The stages in order.
    pub stages: Vec<ScenarioStage>,
    /// Which paths to probe; empty means every pair on every port that policies or containers name.
    pub probes: Vec<ProbePattern>,
    /// The intent file.
    pub intent: Option<(PathBuf, String)>,
}

/// One stage.
#[derive(Clone, Debug)]
pub struct ScenarioStage {
    /// Its name in reports.
    pub name: String,
    /// One sentence.
    pub title: String,
    /// Manifests that are applied on top of what is there.
    pub apply: Vec<(PathBuf, String)>,
}

/// Which paths to probe. The name `*` is every pod of the namespace, `*/*` every pod.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbePattern {
    /// Sources.
    pub from: ObjectName,
    /// Destinations.
    pub to: ObjectName,
    /// The port at the destination pod.
    pub port: u16,
    /// The protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// Through what it is dialled, instead of the pods that `to` covers; the port is then the door's.
    #[serde(skip)]
    pub door: Option<Door>,
}

impl ProbePattern {
    /// Every pod to every other.
    pub(super) fn everyone(protocol: Protocol, port: u16) -> Self {
        Self {
            from: ObjectName::new("*", "*"),
            to: ObjectName::new("*", "*"),
            port,
            protocol,
            door: None,
        }
    }

    /// Whether it is about pods' own addresses alone: through no Service and no node's port, and nobody outside.
    #[must_use]
    pub fn is_between_pods(&self) -> bool {
        self.door.is_none() && !is_outside(&self.from) && !is_outside(&self.to)
    }

    /// Whether a pattern covers a pod.
    #[must_use]
    pub fn covers(pattern: &ObjectName, pod: &ObjectName) -> bool {
        (pattern.namespace == "*" || pattern.namespace == pod.namespace)
            && (pattern.name == "*" || pattern.name == pod.name)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    #[serde(rename = "apiVersion")]
    _api_version: Option<String>,
    #[serde(rename = "kind")]
    _kind: Option<String>,
    title: String,
    #[serde(default)]
    pods: Vec<String>,
    stages: Vec<FileStage>,
    #[serde(default)]
    probes: Vec<ProbePattern>,
    intent: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileStage {
    name: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    apply: Vec<String>,
}

/// A folder's files by name.
pub(super) type Folder = BTreeMap<String, String>;

macro_rules! embedded {
    ($folder:literal: $($file:literal),+ $(,)?) => {
        [$(($file, include_str!(concat!("../../scenarios/", $folder, "/", $file)))),+]
    };
}

const GUIDE: [(&str, &str); 6] = embedded!("guide":
    "scenario.yaml", "pods.yaml", "default-deny.yaml", "allow-dns.yaml", "allow-paths.yaml", "intent.yaml");
const GUIDE_CORRECTED: [(&str, &str); 6] = embedded!("guide-corrected":
    "scenario.yaml", "pods.yaml", "default-deny.yaml", "allow-dns.yaml", "allow-paths.yaml", "intent.yaml");

impl Scenario {
    /// The names of embedded scenarios.
    pub const EMBEDDED: [&'static str; 2] = ["guide", "guide-corrected"];

    /// An embedded scenario by name, else a folder. A folder without `scenario.yaml` is one stage of all its manifests.
    ///
    /// # Errors
    /// Neither is there, or the folder's `scenario.yaml` is not one.
    pub fn load(name: &str) -> Result<Self, ScenarioError> {
        match name {
            "guide" => Self::from_folder(name, Path::new(name), &folder_of(&GUIDE)),
            "guide-corrected" => Self::from_folder(name, Path::new(name), &folder_of(&GUIDE_CORRECTED)),
            folder => {
                let path = Path::new(folder);
                let short = path
                    .file_name()
                    .map_or(folder.into(), |name| name.to_string_lossy());
                Self::from_folder(
                    &short,
                    path,
                    &read_folder(path).map_err(|(path, source)| ScenarioError::Read { path, source })?,
                )
            }
        }
    }

    fn from_folder(name: &str, path: &Path, files: &Folder) -> Result<Self, ScenarioError> {
        let manifest = path.join("scenario.yaml");
        let Some(text) = files.get("scenario.yaml") else {
            let pods = files
                .iter()
                .map(|(file, text)| (path.join(file), text.clone()))
                .collect();
            let stage = ScenarioStage {
                name: name.to_owned(),
                title: format!("Everything in {}", path.display()),
                apply: Vec::new(),
            };
            return Ok(Self {
                name: name.to_owned(),
                title: name.to_owned(),
                pods,
                stages: vec![stage],
                probes: Vec::new(),
                intent: None,
            });
        };
        let file: File = serde_saphyr::from_str(text).map_err(|error| ScenarioError::Parse {
            path: manifest.clone(),
            message: error.to_string(),
        })?;
        let find = |name: &String| -> Result<(PathBuf, String), ScenarioError> {
            if name.contains('/') || name.contains('\\') {
                return Err(ScenarioError::Outside {
                    path: manifest.clone(),
                    file: name.clone(),
                });
            }
            let text = files.get(name).ok_or_else(|| ScenarioError::Missing {
                path: manifest.clone(),
                file: name.clone(),
            })?;
            Ok((path.join(name), text.clone()))
        };
        let stages = file
            .stages
            .iter()
            .map(|stage| {
                Ok(ScenarioStage {
                    name: stage.name.clone(),
                    title: stage.title.clone(),
                    apply: stage.apply.iter().map(find).collect::<Result<_, _>>()?,
                })
            })
            .collect::<Result<Vec<_>, ScenarioError>>()?;
        if stages.is_empty() {
            return Err(ScenarioError::Parse {
                path: manifest.clone(),
                message: "it has no stages".to_owned(),
            });
        }
        Ok(Self {
            name: name.to_owned(),
            title: file.title,
            pods: file.pods.iter().map(find).collect::<Result<_, _>>()?,
            stages,
            probes: file.probes,
            intent: file.intent.as_ref().map(find).transpose()?,
        })
    }
}

/// The folder that embedded files make.
pub(super) fn folder_of(files: &[(&str, &str)]) -> Folder {
    let texts = files.iter();
    texts
        .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
        .collect()
}

/// The manifests right in a folder, by name; or what could not be read.
pub(super) fn read_folder(path: &Path) -> Result<Folder, (PathBuf, io::Error)> {
    let of_folder = |error| (path.to_path_buf(), error);
    let mut files = Folder::new();
    for entry in fs::read_dir(path).map_err(of_folder)? {
        let entry = entry.map_err(of_folder)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let is_manifest = [".yaml", ".yml", ".json"]
            .iter()
            .any(|ending| name.ends_with(ending));
        if is_manifest && entry.path().is_file() {
            let text = fs::read_to_string(entry.path()).map_err(|error| (entry.path(), error))?;
            files.insert(name, text);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::{Scenario, ScenarioError};

    #[test]
    fn the_embedded_scenarios_load() {
        for name in Scenario::EMBEDDED {
            let scenario = Scenario::load(name).unwrap();
            assert_eq!(scenario.stages.len(), 4, "{name}");
            assert!(scenario.intent.is_some());
            assert_eq!(scenario.probes.len(), 3);
        }
    }

    #[test]
    fn a_folder_without_a_scenario_file_is_one_stage() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), "kind: Pod").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "no manifest").unwrap();
        let scenario = Scenario::load(folder.path().to_str().unwrap()).unwrap();
        assert_eq!((scenario.stages.len(), scenario.pods.len()), (1, 1));
    }

    #[test]
    fn bad_scenarios_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scenario.yaml");
        for (text, expected) in [
            ("title: x\nstages: 3", "scenario.yaml"),
            ("title: x\nstages: []", "no stages"),
            ("title: x\nstages: [{name: a, apply: [b.yaml]}]", "b.yaml"),
            (
                "title: x\nstages: [{name: a, apply: [../../etc/passwd]}]",
                "outside",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Scenario::load(folder.path().to_str().unwrap()).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert!(matches!(
            Scenario::load("/no/such/folder"),
            Err(ScenarioError::Read { .. })
        ));
    }
}
