//! The processes of a node, each looked at when it is new and seldom afterwards: their network namespaces, and whose they are.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    io::{self, Read as _},
    os::{fd::AsFd, unix::fs::DirEntryExt as _},
    path::PathBuf,
    time::Duration,
};

use nix::{
    fcntl::{OFlag, open, openat, readlinkat},
    sys::stat::Mode,
};

use super::cgroup::Owner;
use crate::net::KernelTime;

/// A runtime starts a process first and moves it into its namespaces and its cgroup afterwards: up to this age it is looked
/// at again whenever its age has doubled.
const SETTLED: Duration = Duration::from_secs(5);
/// The age at which that begins, of a process that comes while the sensor runs.
const NEW: Duration = Duration::from_millis(2);
/// And of those that were there when the sensor started: few of them have just come.
const OLD: Duration = Duration::from_millis(500);
/// Older ones hardly ever move: one in so many is looked at again by each thorough scan.
const SHARES: u32 = 8;
/// The longest text that is read of a file: a cgroup's path has 4096 bytes at most (`PATH_MAX`), and v1 has some dozen.
const LONGEST: u64 = 1 << 16;
/// What a text has most often: so it is read at once.
const USUAL: usize = 1 << 12;

/// A process, as far as it says where its pod's packets cross.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// Its number.
    pub(super) pid: u32,
    /// The inode of its network namespace.
    pub(super) netns: u64,
    /// Whose it is.
    pub(super) owner: Owner,
    /// When it started, in ticks since boot; of pods' processes only.
    pub(super) started: u64,
}

/// All processes under one `/proc`.
pub(super) struct Processes {
    root: PathBuf,
    cgroup: Option<String>,
    /// The node's own namespaces.
    node: BTreeSet<u64>,
    seen: HashMap<u32, Seen>,
    scans: u32,
    shares: u32,
}

struct Seen {
    /// The inode of its folder: the kernel draws a new one for a new process of the same number.
    folder: u64,
    since: KernelTime,
    /// When to look at it again.
    due: KernelTime,
    scan: u32,
    /// `None` while it has no namespace that may be known: it is ending, or hidden.
    process: Option<Process>,
}

impl Processes {
    /// Nothing is read yet.
    pub(super) fn new(root: PathBuf, cgroup: Option<String>, node: BTreeSet<u64>) -> Self {
        Self {
            root,
            cgroup,
            node,
            seen: HashMap::new(),
            scans: 0,
            shares: 0,
        }
    }

    /// Looks for processes that came, went or have just come; `thorough`, at a share of the others too.
    pub(super) fn scan(&mut self, now: KernelTime, thorough: bool) -> io::Result<()> {
        let first = if self.scans == 0 { OLD } else { NEW };
        self.scans = self.scans.wrapping_add(1).max(1);
        if thorough {
            self.shares = (self.shares + 1) % SHARES;
        }
        // The numbers and inodes of all processes come with the listing, without a call for each.
        for entry in fs::read_dir(&self.root)? {
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let folder = entry.ino();
            let known = self.seen.remove(&pid).filter(|seen| seen.folder == folder);
            let mut seen = match known {
                Some(seen) if now < seen.due && !(thorough && pid % SHARES == self.shares) => seen,
                Some(mut seen) => {
                    let is_settled = now.since(seen.since) > SETTLED;
                    let before = seen.process.take().filter(|_| is_settled);
                    seen.process = self.look(pid, before);
                    seen.due = due(seen.since, now, first);
                    seen
                }
                None => Seen {
                    folder,
                    since: now,
                    due: due(now, now, first),
                    scan: 0,
                    process: self.look(pid, None),
                },
            };
            seen.scan = self.scans;
            self.seen.insert(pid, seen);
        }
        self.seen.retain(|_, seen| seen.scan == self.scans);
        Ok(())
    }

    /// Those whose namespace is known.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Process> {
        self.seen.values().filter_map(|seen| seen.process.as_ref())
    }

    /// Looks at one process. `before`, it was settled: on the node's network still, it is what it was.
    fn look(&self, pid: u32, before: Option<Process>) -> Option<Process> {
        // Held open, so that all that is read is of one process, though its number be given to another meanwhile.
        let folder = open(
            &self.root.join(pid.to_string()),
            OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
        .ok()?;
        let netns = readlinkat(&folder, "ns/net").ok()?;
        let netns = inode(netns.to_str()?)?;
        if let Some(before) = before
            && before.netns == netns
            && self.node.contains(&netns)
        {
            return Some(before);
        }
        let owner = read_at(&folder, "cgroup")
            .map_or(Owner::Nobody, |text| Owner::read(&text, self.cgroup.as_deref()));
        let started = match owner {
            Owner::Pod(_) => read_at(&folder, "stat").and_then(|text| started(&text))?,
            Owner::Nobody | Owner::Elsewhere => 0,
        };
        Some(Process {
            pid,
            netns,
            owner,
            started,
        })
    }
}

/// When a process that was first seen at `since` is looked at again: at twice its age, and by shares once it is settled.
fn due(since: KernelTime, now: KernelTime, first: Duration) -> KernelTime {
    let age = now.since(since);
    if age > SETTLED {
        KernelTime(u64::MAX)
    } else {
        now.plus(age.max(first))
    }
}

fn read_at(folder: impl AsFd, name: &str) -> Option<String> {
    let file = openat(folder, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let mut bytes = Vec::with_capacity(USUAL);
    File::from(file).take(LONGEST).read_to_end(&mut bytes).ok()?;
    // A name may hold any bytes.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The number in `net:[4026531840]`.
pub(super) fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// The 22nd field of `/proc/PID/stat`. The second is the process's own name, with whatever it likes in it.
fn started(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{inode, started};

    #[test]
    fn a_processs_name_does_not_move_its_fields() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        for name in ["(sh)", "(a b)", "() 1 2 ) S 9 9)", "(\u{fffd}\n))"] {
            assert_eq!(started(&format!("77 {name} {fields}")), Some(4711), "{name}");
        }
        assert_eq!(started("77 (sh"), None);
        assert_eq!(started(""), None);
    }

    #[test]
    fn a_namespace_is_named_by_its_inode() {
        assert_eq!(inode("net:[4026531840]"), Some(4_026_531_840));
        for other in ["mnt:[1]", "net:[]", "net:[-1]", "net:[1", ""] {
            assert_eq!(inode(other), None, "{other}");
        }
    }
}
