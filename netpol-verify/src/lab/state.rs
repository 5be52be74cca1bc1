//! What `lab up` leaves for the commands after it: one file per standing lab, and a lock so that they do not interleave.
//!
//! The process that ran `lab up` is over when the next command comes. What lives in a process is therefore not part of a standing
//! lab: sensors, enforcers that run beside it, and the name server (`dns`) are started anew by every command that needs them.

use std::{
    fs::{File, TryLockError},
    io,
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::{ClusterId, RuntimeDir, RuntimeDirError, topology::ClusterRecord};

/// Moves when the file's meaning does.
pub const STATE_VERSION: u32 = 1;

/// The name of a lab when none is given.
pub const DEFAULT_LAB: &str = "default";

/// A lab's state could not be read, written or locked.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// No lab of that name stands.
    #[error("no lab is up: run `netpol-verify lab up`")]
    Missing,
    /// One stands already.
    #[error("the lab {name:?} is up already: run `netpol-verify lab down` first")]
    AlreadyUp {
        /// Its name.
        name: String,
    },
    /// The name cannot be a file's.
    #[error("{name:?} cannot be a lab's name; use up to 40 of a-z, 0-9 and -")]
    Name {
        /// The name.
        name: String,
    },
    /// Another version of the program wrote it.
    #[error("{} has version {found}, this program reads {STATE_VERSION}; run `netpol-verify lab --clean`, then `lab up`", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// It is no state at all.
    #[error("{} is damaged: {source}; run `netpol-verify lab --clean`, then `lab up`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
    /// It cannot be read.
    #[error("cannot read {}: {source}; run as root", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another command works on the lab.
    #[error("another netpol-verify command works on the lab; try again when it is done")]
    Busy,
    /// The directory.
    #[error(transparent)]
    RuntimeDir(#[from] RuntimeDirError),
}

/// A standing lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabState {
    /// [`STATE_VERSION`].
    pub version: u32,
    /// Its name.
    pub name: String,
    /// The process that ran `lab up`.
    pub owner: u32,
    /// Namespaces, links and addresses.
    pub cluster: ClusterRecord,
    /// The enforcer, as its flag spells it.
    pub enforcer: String,
    /// The fault, as its flag spells it.
    #[serde(default)]
    pub fault: Option<String>,
    /// The CNI it stands in for, as its flag spells it.
    #[serde(default)]
    pub cni: String,
    /// Seconds a program of the user's has for each answer.
    #[serde(default)]
    pub enforcer_timeout: u64,
    /// The cluster's Kubernetes objects, as whoever reads them wrote them.
    pub objects: serde_json::Value,
}

/// The version alone: read first, so that another version's file is named as such and not called damaged.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

impl LabState {
    /// The state of a lab that this process has built.
    ///
    /// # Errors
    /// When the name cannot be a file's.
    pub fn new(name: &str, cluster: ClusterRecord, enforcer: impl Into<String>) -> Result<Self, StateError> {
        file_name(name)?;
        Ok(Self {
            version: STATE_VERSION,
            name: name.to_owned(),
            owner: std::process::id(),
            cluster,
            enforcer: enforcer.into(),
            fault: None,
            cni: String::new(),
            enforcer_timeout: 0,
            objects: serde_json::Value::Null,
        })
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When the directory refuses.
    pub fn save(&self, dir: &RuntimeDir) -> Result<(), StateError> {
        Ok(dir.write_json(&file_name(&self.name)?, self)?)
    }

    /// Reads the state of the lab of that name.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn load(dir: &RuntimeDir, name: &str) -> Result<Self, StateError> {
        let path = dir.file(&file_name(name)?);
        let text = std::fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StateError::Missing,
            _ => StateError::Read {
                path: path.clone(),
                source,
            },
        })?;
        let damaged = |source| StateError::Damaged {
            path: path.clone(),
            source,
        };
        let Version { version } = serde_json::from_slice(&text).map_err(damaged)?;
        if version != u64::from(STATE_VERSION) {
            return Err(StateError::Version { path, found: version });
        }
        let damaged = |source| StateError::Damaged { path, source };
        serde_json::from_slice(&text).map_err(damaged)
    }

    /// Fails when a lab of that name stands, for `lab up`.
    ///
    /// # Errors
    /// When one does, readable or not.
    pub fn ensure_free(dir: &RuntimeDir, name: &str) -> Result<(), StateError> {
        match Self::load(dir, name) {
            Err(StateError::Missing) => Ok(()),
            Ok(_) => Err(StateError::AlreadyUp {
                name: name.to_owned(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Removes the file; the cluster is removed apart, before it. One that is gone already is no error.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(dir: &RuntimeDir, name: &str) -> Result<(), StateError> {
        Ok(dir.remove(&file_name(name)?)?)
    }

    /// The names of all labs that stand, readable or not.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn names(dir: &RuntimeDir) -> Result<Vec<String>, StateError> {
        let names = dir.names()?;
        let labs = names
            .iter()
            .filter_map(|file| file.strip_prefix("lab-")?.strip_suffix(".json"));
        Ok(labs
            .filter(|name| file_name(name).is_ok())
            .map(str::to_owned)
            .collect())
    }

    /// The cluster that a lab's state names, whatever its version: another version's lab is no residue. A damaged one names none.
    #[must_use]
    pub fn claimed(dir: &RuntimeDir, name: &str) -> Option<ClusterId> {
        let text = std::fs::read(dir.file(&file_name(name).ok()?)).ok()?;
        let value: serde_json::Value = serde_json::from_slice(&text).ok()?;
        serde_json::from_value(value.get("cluster")?.get("id")?.clone()).ok()
    }
}

/// The file of the lab of that name, which came from a command line.
fn file_name(name: &str) -> Result<String, StateError> {
    let lawful = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if name.is_empty() || name.len() > 40 || !name.bytes().all(lawful) {
        return Err(StateError::Name {
            name: name.to_owned(),
        });
    }
    Ok(format!("lab-{name}.json"))
}

/// The right to change labs; given back when dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub struct LabLock(File);

impl LabLock {
    /// Takes it at once.
    ///
    /// # Errors
    /// When another command has it.
    pub fn acquire(dir: &RuntimeDir) -> Result<Self, StateError> {
        dir.create()?;
        let path = dir.file("lock");
        let failed = |source| RuntimeDirError {
            step: "lock",
            path: path.clone(),
            source,
        };
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StateError::Busy),
            Err(TryLockError::Error(source)) => Err(failed(source).into()),
        }
    }
}

impl Drop for LabLock {
    fn drop(&mut self) {
        // Said aloud: a child that inherited the file would else keep the lock.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::lab::topology::Wiring;

    fn state() -> LabState {
        let id = ClusterId { pid: 7, serial: 1 };
        let cluster = ClusterRecord {
            id,
            wiring: Wiring::Routed,
            nodes: 2,
            plugins: None,
            pods: vec![],
        };
        let mut state = LabState::new(DEFAULT_LAB, cluster, "nftables").unwrap();
        state.objects = json!({ "pods": [1, "two"] });
        state
    }

    fn place() -> (tempfile::TempDir, RuntimeDir) {
        let temporary = tempfile::tempdir().unwrap();
        let dir = RuntimeDir::at(temporary.path());
        (temporary, dir)
    }

    #[test]
    fn a_state_is_read_back_as_it_was_written() {
        let (_keep, dir) = place();
        assert!(LabState::ensure_free(&dir, DEFAULT_LAB).is_ok());
        state().save(&dir).unwrap();
        assert_eq!(LabState::load(&dir, DEFAULT_LAB).unwrap(), state());
        assert!(matches!(
            LabState::ensure_free(&dir, DEFAULT_LAB),
            Err(StateError::AlreadyUp { .. })
        ));
        assert_eq!(LabState::names(&dir).unwrap(), [DEFAULT_LAB]);
        assert_eq!(LabState::claimed(&dir, DEFAULT_LAB), Some(state().cluster.id));
        LabState::remove(&dir, DEFAULT_LAB).unwrap();
        assert!(matches!(
            LabState::load(&dir, DEFAULT_LAB),
            Err(StateError::Missing)
        ));
    }

    #[test]
    fn without_a_lab_the_error_says_what_to_run() {
        let (_keep, dir) = place();
        let error = LabState::load(&dir, DEFAULT_LAB).unwrap_err();
        assert_eq!(error.to_string(), "no lab is up: run `netpol-verify lab up`");
    }

    #[test]
    fn another_versions_state_is_refused_by_its_number() {
        let (_keep, dir) = place();
        std::fs::write(
            dir.file("lab-default.json"),
            r#"{"version": 99, "new": true, "cluster": {"id": {"pid": 7, "serial": 1}}}"#,
        )
        .unwrap();
        assert!(matches!(
            LabState::load(&dir, DEFAULT_LAB),
            Err(StateError::Version { found: 99, .. })
        ));
        assert_eq!(
            LabState::claimed(&dir, DEFAULT_LAB),
            Some(ClusterId { pid: 7, serial: 1 })
        );
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        let (_keep, dir) = place();
        for name in ["", "../x", "a/b", "A", "a b", &"x".repeat(41)] {
            assert!(
                matches!(LabState::load(&dir, name), Err(StateError::Name { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn the_lock_is_held_by_one_at_a_time() {
        let (_keep, dir) = place();
        let held = LabLock::acquire(&dir).unwrap();
        assert!(matches!(LabLock::acquire(&dir), Err(StateError::Busy)));
        drop(held);
        LabLock::acquire(&dir).unwrap();
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (_keep, dir) = place();
            std::fs::write(dir.file("lab-default.json"), bytes).unwrap();
            prop_assert!(LabState::load(&dir, DEFAULT_LAB).is_err());
        }

        #[test]
        fn a_state_cut_anywhere_is_damaged(keep in 0_usize..200) {
            let (_keep, dir) = place();
            let text = serde_json::to_vec(&state()).unwrap();
            std::fs::write(dir.file("lab-default.json"), &text[..keep.min(text.len() - 1)]).unwrap();
            let is_damaged = matches!(LabState::load(&dir, DEFAULT_LAB), Err(StateError::Damaged { .. }));
            prop_assert!(is_damaged);
        }
    }
}
