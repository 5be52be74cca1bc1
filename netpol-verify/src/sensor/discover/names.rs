//! Network namespaces that have a name: files under `/run/netns` with a namespace bound over them.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt as _, path::PathBuf};

/// Names by inode, as they were read last.
pub(super) struct Names {
    folder: PathBuf,
    by_inode: BTreeMap<u64, String>,
    /// The device that all namespaces are on.
    device: Option<u64>,
    pending: bool,
}

impl Names {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            by_inode: BTreeMap::new(),
            device: fs::metadata("/proc/thread-self/ns/net")
                .ok()
                .map(|metadata| metadata.dev()),
            pending: false,
        }
    }

    /// Reads the folder. Runtimes make the file first and bind the namespace over it later: one of a name that `wanted`
    /// takes is then pending.
    pub(super) fn read(&mut self, wanted: &dyn Fn(&str) -> bool) {
        let before = std::mem::take(&mut self.by_inode);
        self.pending = false;
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        for name in names {
            let Ok(metadata) = fs::metadata(self.folder.join(&name)) else {
                continue;
            };
            if self.device.is_some_and(|device| device != metadata.dev()) {
                self.pending |= wanted(&name);
                continue;
            }
            let inode = metadata.ino();
            // Of two names the runtime's goes before another, and the known one before a new one.
            let is_better = |current: &String| {
                (wanted(&name), before.get(&inode) == Some(&name))
                    > (wanted(current), before.get(&inode) == Some(current))
            };
            if self.by_inode.get(&inode).is_none_or(is_better) {
                self.by_inode.insert(inode, name);
            }
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &str)> {
        self.by_inode.iter().map(|(inode, name)| (*inode, name.as_str()))
    }

    /// The name of one.
    pub(super) fn of(&self, inode: u64) -> Option<&str> {
        self.by_inode.get(&inode).map(String::as_str)
    }

    /// Whether a file waits for its namespace.
    pub(super) const fn is_pending(&self) -> bool {
        self.pending
    }
}

/// Whether a runtime gives pods' namespaces such names: containerd `cni-UUID`, CRI-O a UUID.
#[must_use]
pub fn is_cni_name(name: &str) -> bool {
    let uuid = name.strip_prefix("cni-").unwrap_or(name);
    uuid.split('-').count() == 5
        && uuid
            .split('-')
            .zip([8, 4, 4, 4, 12])
            .all(|(part, length)| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::is_cni_name;

    #[test]
    fn only_a_runtimes_names_are_taken_for_pods() {
        assert!(is_cni_name("cni-0f1c2d3e-4b5a-6978-8796-a5b4c3d2e1f0"));
        assert!(is_cni_name("0f1c2d3e-4b5a-6978-8796-a5b4c3d2e1f0"));
        for other in [
            "",
            "cni-",
            "cni-x",
            "blue",
            "npv-1-pod-a",
            "cni-0f1c2d3e-4b5a-6978-8796-a5b4c3d2e1f0-1",
            "0f1c2d3e",
        ] {
            assert!(!is_cni_name(other), "{other}");
        }
    }
}
