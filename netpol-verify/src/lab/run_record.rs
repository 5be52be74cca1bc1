//! The note a run keeps while it has a cluster: who it is and what it started, so that a later run can tell residue from life.

use procfs::process::Process;
use serde::{Deserialize, Serialize};

use super::{ClusterId, RuntimeDir, RuntimeDirError};

/// A process, named so that a reused number is not taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The number.
    pub pid: u32,
    /// When it started, in clock ticks after boot (`/proc/<pid>/stat`, field 22).
    #[serde(rename = "startTime")]
    pub start_time: u64,
}

impl ProcessId {
    /// The process that has that number now; none when there is none.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = Process::new(i32::try_from(pid).ok()?).ok()?.stat().ok()?;
        // A zombie has ended: it runs no code and waits for its parent alone.
        (stat.state != 'Z').then_some(Self {
            pid,
            start_time: stat.starttime,
        })
    }

    /// Whether that very process still runs.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// The note itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The cluster it is about.
    pub cluster: ClusterId,
    /// The process that owns the cluster.
    pub owner: ProcessId,
    /// Processes it started that live in the cluster's namespaces.
    #[serde(default)]
    pub processes: Vec<ProcessId>,
}

impl RunRecord {
    /// The file of a cluster's note.
    #[must_use]
    pub fn file_name(cluster: ClusterId) -> String {
        format!("run-{}-{}.json", cluster.pid, cluster.serial)
    }

    /// The cluster whose note a file is.
    #[must_use]
    pub fn cluster_of(file_name: &str) -> Option<ClusterId> {
        let numbers = file_name.strip_prefix("run-")?.strip_suffix(".json")?;
        // The same strict reading as for namespaces, and nothing after the second number.
        let cluster = ClusterId::of_namespace(&format!("{}{numbers}-x", super::PREFIX))?;
        (Self::file_name(cluster) == file_name).then_some(cluster)
    }

    /// Writes the note.
    ///
    /// # Errors
    /// When the directory refuses.
    pub fn save(&self, dir: &RuntimeDir) -> Result<(), RuntimeDirError> {
        dir.write_json(&Self::file_name(self.cluster), self)
    }

    /// Reads a cluster's note; none when it is missing or no note.
    #[must_use]
    pub fn load(dir: &RuntimeDir, cluster: ClusterId) -> Option<Self> {
        let text = std::fs::read(dir.file(&Self::file_name(cluster))).ok()?;
        serde_json::from_slice(&text)
            .ok()
            .filter(|record: &Self| record.cluster == cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_process_number_is_another_process() {
        let own = ProcessId::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        assert!(
            !ProcessId {
                start_time: own.start_time + 1,
                ..own
            }
            .is_alive()
        );
        assert_eq!(ProcessId::of(u32::MAX), None);
    }

    #[test]
    fn a_note_is_read_back_and_garbage_is_none() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = RuntimeDir::at(temporary.path());
        let cluster = ClusterId { pid: 7, serial: 2 };
        assert_eq!(RunRecord::load(&dir, cluster), None);
        let record = RunRecord {
            cluster,
            owner: ProcessId {
                pid: 7,
                start_time: 9,
            },
            processes: vec![],
        };
        record.save(&dir).unwrap();
        assert_eq!(RunRecord::load(&dir, cluster), Some(record));
        std::fs::write(dir.file("run-7-2.json"), b"\xff{").unwrap();
        assert_eq!(RunRecord::load(&dir, cluster), None);
    }

    #[test]
    fn only_a_notes_file_name_names_a_cluster() {
        assert_eq!(
            RunRecord::cluster_of("run-7-2.json"),
            Some(ClusterId { pid: 7, serial: 2 })
        );
        for other in [
            "run-7.json",
            "run-7-2-3.json",
            "lab-x.json",
            "run-a-b.json",
            "run--.json",
        ] {
            assert_eq!(RunRecord::cluster_of(other), None, "{other}");
        }
    }
}
