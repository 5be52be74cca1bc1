//! What a run has played so far, kept in a file, so that an interrupted run goes on where it was. Only whole cases are
//! kept, each with a mark of what it was then: no result outlives the case that it is of.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::cases::{Case, Suite};
use crate::report::CaseResult;

/// Results cannot be kept or taken up again.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no such run.
    #[error("there is no run {run} to go on with in {folder}; {}", known(.runs))]
    Unknown {
        /// The name.
        run: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// What is there.
        runs: Vec<String>,
    },
    /// It is not of this place or version.
    #[error(
        "run {run} was on {was:?}, this is {is:?}; results of two are not mixed: start anew without --resume"
    )]
    Elsewhere {
        /// The run.
        run: String,
        /// What it was played on.
        was: String,
        /// What this is.
        is: String,
    },
    /// The file is damaged.
    #[error("{path} is no record of a run: {message}; remove it and start anew")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
}

fn known(runs: &[String]) -> String {
    match runs {
        [] => "no interrupted run is kept there".to_owned(),
        runs => format!("kept are: {}", runs.join(", ")),
    }
}

impl RecordError {
    /// Whether the command line is at fault.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. } | Self::Elsewhere { .. } | Self::Damaged { .. }
        )
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    place: String,
    version: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    mark: u64,
    result: CaseResult,
}

/// Under which name results are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunName {
    /// Of a run that begins.
    New(String),
    /// Of one that was interrupted and is gone on with.
    Interrupted(String),
}

impl RunName {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        let (Self::New(name) | Self::Interrupted(name)) = self;
        name
    }
}

/// The record of a run.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    file: File,
    known: HashMap<u64, CaseResult>,
}

impl Record {
    /// Where records are kept: the user's state folder (XDG Base Directory Specification).
    #[must_use]
    pub fn folder() -> PathBuf {
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        let state = state.filter(|path| path.is_absolute()).or_else(home);
        state
            .unwrap_or_else(|| "/var/lib".into())
            .join("netpol-verify/runs")
    }

    /// A name for a run: the minute, and a few letters that tell it from others.
    #[must_use]
    pub fn new_name() -> String {
        let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M");
        format!("{now}-{:04x}", crate::random::random() & 0xffff)
    }

    /// Whether any result is kept under a name.
    #[must_use]
    pub fn holds_results(folder: &Path, run: &str) -> bool {
        let text = fs::read_to_string(file_of(folder, run));
        // The first line is the head.
        text.is_ok_and(|text| text.lines().nth(1).is_some())
    }

    /// Removes the record of a run that ended before it had a result.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget_without_results(folder: &Path, run: &str) -> io::Result<()> {
        if Self::holds_results(folder, run) {
            return Ok(());
        }
        match fs::remove_file(file_of(folder, run)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Sees, before anything is made, that a run which is to be gone on with is there.
    ///
    /// # Errors
    /// It is not.
    pub fn look_up(name: &RunName) -> Result<(), RecordError> {
        match name {
            RunName::New(_) => Ok(()),
            RunName::Interrupted(run) => read(&Self::folder(), run).map(drop),
        }
    }

    /// A new record in a folder; `place` says what is certified.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn begin(folder: &Path, run: &str, place: &str) -> Result<Self, RecordError> {
        let path = file_of(folder, run);
        let failed = |source| RecordError::File {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(failed)?;
        let head = Head {
            place: place.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        write(&mut file, &path, &head)?;
        Ok(Self {
            path,
            file,
            known: HashMap::new(),
        })
    }

    /// The record of a run that begins, or that is gone on with.
    ///
    /// # Errors
    /// As [`Self::begin`] and [`Self::resume`].
    pub fn open(name: &RunName, place: &str) -> Result<Self, RecordError> {
        let folder = Self::folder();
        match name {
            RunName::New(run) => Self::begin(&folder, run, place),
            RunName::Interrupted(run) => Self::resume(&folder, run, place),
        }
    }

    /// Takes up an interrupted run.
    ///
    /// # Errors
    /// There is none of that name, or it is of another place or version.
    pub fn resume(folder: &Path, run: &str, place: &str) -> Result<Self, RecordError> {
        let (path, text) = (file_of(folder, run), read(folder, run)?);
        let mut lines = text.lines();
        let damaged = |number: usize, error: &serde_json::Error| RecordError::Damaged {
            path: path.clone(),
            message: format!("line {number}: {error}"),
        };
        let head: Head =
            serde_json::from_str(lines.next().unwrap_or_default()).map_err(|error| damaged(1, &error))?;
        let is = format!("{place}, version {}", env!("CARGO_PKG_VERSION"));
        let was = format!("{}, version {}", head.place, head.version);
        if was != is {
            return Err(RecordError::Elsewhere {
                run: run.to_owned(),
                was,
                is,
            });
        }
        let mut known = HashMap::new();
        let mut whole = text.find('\n').map_or(text.len(), |end| end + 1);
        for (index, line) in lines.enumerate() {
            match serde_json::from_str::<Line>(line) {
                Ok(line) => known.insert(line.mark, line.result),
                // A run that was killed while it wrote leaves half a line, and only at the end.
                Err(_) if !text.ends_with('\n') && whole + line.len() == text.len() => break,
                Err(error) => return Err(damaged(index + 2, &error)),
            };
            whole += line.len() + 1;
        }
        let failed = |source| RecordError::File {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new().append(true).open(&path).map_err(failed)?;
        file.set_len(whole as u64).map_err(failed)?;
        Ok(Self { path, file, known })
    }

    /// The result of a case, where it was played and is the same case still.
    #[must_use]
    pub fn result(&self, suite: &Suite, case: &Case) -> Option<&CaseResult> {
        self.known.get(&mark(suite, case))
    }

    /// Keeps a result.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&mut self, suite: &Suite, case: &Case, result: &CaseResult) -> Result<(), RecordError> {
        let line = Line {
            mark: mark(suite, case),
            result: result.clone(),
        };
        write(&mut self.file, &self.path, &line)
    }

    /// The run has come to its end: nothing is left to go on with.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn finish(self) -> Result<(), RecordError> {
        fs::remove_file(&self.path).map_err(|source| RecordError::File {
            path: self.path,
            source,
        })
    }
}

/// A number that changes with anything in the case or its world.
fn mark(suite: &Suite, case: &Case) -> u64 {
    let text = format!("{:?} {:?} {:?} {case:?}", suite.name, suite.world, suite.ports);
    crc::Crc::<u64>::new(&crc::CRC_64_XZ).checksum(text.as_bytes())
}

fn write(file: &mut File, path: &Path, value: &impl Serialize) -> Result<(), RecordError> {
    let written = serde_json::to_string(value)
        .map_err(io::Error::from)
        .and_then(|line| file.write_all(format!("{line}\n").as_bytes()));
    written.map_err(|source| RecordError::File {
        path: path.to_owned(),
        source,
    })
}

fn file_of(folder: &Path, run: &str) -> PathBuf {
    folder.join(format!("{run}.jsonl"))
}

/// The text of a record, which must be there.
fn read(folder: &Path, run: &str) -> Result<String, RecordError> {
    match fs::read_to_string(file_of(folder, run)) {
        Ok(text) if !run.contains('/') => Ok(text),
        _ => Err(RecordError::Unknown {
            run: run.to_owned(),
            folder: folder.to_owned(),
            runs: names(folder),
        }),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let stems = entries.filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()));
    stems.collect()
}

#[cfg(test)]
mod tests {
    use super::{Record, RecordError};
    use crate::{report::CaseResult, suite::suites};

    #[test]
    fn what_was_kept_is_there_again_and_nothing_of_another_place_or_case() {
        let folder = tempfile::tempdir().unwrap();
        let suites = suites("e2e").unwrap();
        let suite = suites.first().unwrap();
        let (first, second) = (&suite.cases[0], &suite.cases[1]);
        let mut record = Record::begin(folder.path(), "one", "here").unwrap();
        let result = CaseResult::new("e2e", &first.id, &first.title, true);
        record.keep(suite, first, &result).unwrap();
        let (path, run) = (folder.path().join("one.jsonl"), "one".to_owned());
        drop(record);

        let elsewhere = Record::resume(folder.path(), &run, "there").unwrap_err();
        assert!(matches!(elsewhere, RecordError::Elsewhere { .. }), "{elsewhere}");
        let unknown = Record::resume(folder.path(), "nobody", "here").unwrap_err();
        assert!(unknown.to_string().contains(&run), "{unknown}");

        // Killed in the middle of a line.
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}{{\"mark\": 3, \"res")).unwrap();
        let mut again = Record::resume(folder.path(), &run, "here").unwrap();
        assert_eq!(again.result(suite, first), Some(&result));
        assert_eq!(again.result(suite, second), None);
        let mut edited = first.clone();
        edited.title.push('!');
        assert_eq!(again.result(suite, &edited), None, "another case under its name");
        again.keep(suite, second, &result).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().lines().count() == 3);
        again.finish().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_damaged_record_is_said_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        drop(Record::begin(folder.path(), "one", "here").unwrap());
        let (path, run) = (folder.path().join("one.jsonl"), "one");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}nonsense\nmore\n")).unwrap();
        let error = Record::resume(folder.path(), run, "here").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
