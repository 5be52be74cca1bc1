//! The directory where runs and standing labs keep their notes: `/run/netpol-verify`, gone after a reboot as the namespaces are.

use std::{
    fs::{self, DirBuilder},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use serde::Serialize;

/// The place for notes; its own type so that tests can use another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeDir(PathBuf);

/// The notes cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} {}: {source}; run as root", path.display())]
pub struct RuntimeDirError {
    /// What failed.
    pub step: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl RuntimeDir {
    /// The one that commands share.
    #[must_use]
    pub fn standard() -> Self {
        Self("/run/netpol-verify".into())
    }

    /// Another place.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The names in it; none when it does not exist.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self) -> Result<Vec<String>, RuntimeDirError> {
        let failed = |source| RuntimeDirError {
            step: "read",
            path: self.0.clone(),
            source,
        };
        match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed(error)),
            Ok(entries) => {
                let mut names: Vec<_> = entries
                    .flatten()
                    .filter_map(|entry| entry.file_name().into_string().ok())
                    .collect();
                names.sort();
                Ok(names)
            }
        }
    }

    /// Makes the directory, for root alone.
    ///
    /// # Errors
    /// Without the rights.
    pub fn create(&self) -> Result<(), RuntimeDirError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(|source| RuntimeDirError {
            step: "make",
            path: self.0.clone(),
            source,
        })
    }

    /// Writes a file whole or not at all, mode 0600: a reader sees the old text or the new one, also when we are killed meanwhile.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), RuntimeDirError> {
        self.create()?;
        let path = self.file(name);
        let write = || -> io::Result<()> {
            // `tempfile` makes it 0600.
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.0)?;
            serde_json::to_writer_pretty(&mut file, value)?;
            file.write_all(b"\n")?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|source| RuntimeDirError {
            step: "write",
            path: path.clone(),
            source,
        })
    }

    /// Removes a file or directory; one that is gone already is no error.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), RuntimeDirError> {
        let path = self.file(name);
        let removed = match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(error) => Err(error),
        };
        match removed {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(RuntimeDirError {
                step: "remove",
                path,
                source,
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_for_their_owner_alone_and_replaced_whole() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = RuntimeDir::at(temporary.path().join("deep/er"));
        assert_eq!(dir.names().unwrap(), Vec::<String>::new());
        dir.write_json("a.json", &[1, 2]).unwrap();
        dir.write_json("a.json", &[3]).unwrap();
        assert_eq!(fs::read_to_string(dir.file("a.json")).unwrap(), "[\n  3\n]\n");
        assert_eq!(
            fs::metadata(dir.file("a.json")).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(dir.names().unwrap(), ["a.json"]);
        dir.remove("a.json").unwrap();
        dir.remove("a.json").unwrap();
    }
}
