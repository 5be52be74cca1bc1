//! Finds pods' network namespaces: by their names under `/run/netns`, and by the processes in them.

mod cgroup;
mod home;
mod names;
mod processes;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use names::is_cni_name;

use self::{home::homes, names::Names, processes::Processes};
use crate::net::KernelTime;

/// Where named network namespaces are (iproute2, containerd, CRI-O).
const NETNS: &str = "/run/netns";

/// Tells names of network namespaces that are pods'.
pub type Filter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Which network namespaces are pods'.
#[derive(Clone)]
pub enum Pods {
    /// Those under `/run/netns` whose name the filter takes.
    Named(Filter),
    /// Those of a Kubernetes node's pods, which are known by their processes' cgroups.
    Kubernetes(Roots),
}

/// Where a node's processes and namespaces are seen from here.
#[derive(Clone)]
pub struct Roots {
    /// The node's `/proc`.
    pub proc: PathBuf,
    /// The node's `/run/netns`.
    pub netns: PathBuf,
    /// kubelet's own part of the cgroup tree, where several kubelets share the machine: pods outside it are others'. It
    /// must be seen whole: not from a cgroup namespace of the sensor's own.
    pub cgroup: Option<String>,
    /// Names of namespaces that a runtime has made for a pod: watched before any process runs in them.
    pub names: Filter,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            proc: PathBuf::from("/proc"),
            netns: PathBuf::from(NETNS),
            cgroup: None,
            names: Arc::new(is_cni_name),
        }
    }
}

impl fmt::Debug for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(_) => f.write_str("Named"),
            Self::Kubernetes(roots) => roots.fmt(f),
        }
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots")
            .field("proc", &self.proc)
            .field("netns", &self.netns)
            .field("cgroup", &self.cgroup)
            .finish_non_exhaustive()
    }
}

impl Pods {
    /// The folder of named namespaces.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Self::Named(_) => Path::new(NETNS),
            Self::Kubernetes(roots) => &roots.netns,
        }
    }

    /// Whether processes tell pods.
    pub(super) const fn by_processes(&self) -> bool {
        matches!(self, Self::Kubernetes(_))
    }

    /// What cannot be read here, and what that costs.
    pub(super) fn notes(&self) -> Vec<String> {
        let Self::Kubernetes(roots) = self else {
            return Vec::new();
        };
        let mut notes = Vec::new();
        if let Err(error) = fs::read_dir(&roots.netns) {
            notes.push(format!(
                "{} cannot be read ({error}): pods are found only once a process runs in them; mount the node's",
                roots.netns.display()
            ));
        }
        // The first process is another's wherever the sensor sees the node's processes.
        if let Err(error) = fs::read_link(roots.proc.join("1/ns/net")) {
            notes.push(format!(
                "other processes' network namespaces under {} cannot be read ({error}): only pods named under {} are \
                 found, and nobody knows their UIDs; this needs the node's /proc (hostPID), CAP_SYS_PTRACE, and no \
                 AppArmor profile that forbids it",
                roots.proc.display(),
                roots.netns.display()
            ));
        }
        notes
    }
}

/// A pod's network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its name under `/run/netns`.
    pub(super) name: Option<String>,
    /// The pods at home in it, by UID.
    pub(super) pods: BTreeSet<String>,
    /// Paths to open it by; whether it is the right one is to be looked at then.
    pub(super) paths: Vec<PathBuf>,
}

impl Found {
    /// How it was found: its name, or the path of a process's.
    pub(super) fn label(&self) -> String {
        let by_path = || self.paths.first().map(|path| path.display().to_string());
        self.name.clone().or_else(by_path).unwrap_or_default()
    }
}

/// How closely to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Closely {
    /// At processes too.
    pub(super) processes: bool,
    /// Also at what hardly ever changes.
    pub(super) thorough: bool,
}

/// Finds pods' namespaces, again and again.
pub(super) struct Discovery {
    pods: Pods,
    names: Names,
    processes: Option<Processes>,
    /// The node's own namespaces: the sensor's and the first process's.
    node: BTreeSet<u64>,
}

impl Discovery {
    pub(super) fn new(pods: Pods) -> Self {
        let names = Names::new(pods.folder().to_path_buf());
        let mut node: BTreeSet<u64> = own_netns(Path::new("/proc/thread-self")).into_iter().collect();
        let processes = match &pods {
            Pods::Named(_) => None,
            Pods::Kubernetes(roots) => {
                node.extend(own_netns(&roots.proc.join("1")));
                Some(Processes::new(
                    roots.proc.clone(),
                    roots.cgroup.clone(),
                    node.clone(),
                ))
            }
        };
        Self {
            pods,
            names,
            processes,
            node,
        }
    }

    /// Pods' namespaces by inode.
    pub(super) fn look(&mut self, now: KernelTime, closely: Closely) -> BTreeMap<u64, Found> {
        match &self.pods {
            Pods::Named(filter) => self.names.read(&|name| filter(name)),
            Pods::Kubernetes(roots) => self.names.read(&|name| (roots.names)(name)),
        }
        let named = self.names.iter().filter(|(inode, _)| !self.node.contains(inode));
        let (roots, processes) = match (&self.pods, &mut self.processes) {
            (Pods::Kubernetes(roots), Some(processes)) => (roots, processes),
            (Pods::Named(filter), _) => {
                return named
                    .filter(|(_, name)| filter(name))
                    .map(|(inode, name)| (inode, self.found(Some(name), BTreeSet::new(), &[])))
                    .collect();
            }
            (Pods::Kubernetes(_), None) => return BTreeMap::new(),
        };
        if closely.processes
            && let Err(error) = processes.scan(now, closely.thorough)
        {
            tracing::debug!(proc = %roots.proc.display(), %error, "Processes cannot be listed.");
        }
        let by_runtime: BTreeMap<u64, &str> = named.filter(|(_, name)| (roots.names)(name)).collect();
        let mut homes = homes(
            processes.iter(),
            &self.node,
            &by_runtime.keys().copied().collect(),
        );
        for inode in by_runtime.keys() {
            homes.entry(*inode).or_default();
        }
        homes
            .into_iter()
            .filter(|(inode, home)| {
                !home.pods.is_empty() || (by_runtime.contains_key(inode) && !home.is_elsewhere)
            })
            .map(|(inode, home)| (inode, self.found(self.names.of(inode), home.pods, &home.pids)))
            .collect()
    }

    /// Whether something under `/run/netns` is about to become a pod's namespace.
    pub(super) fn is_pending(&self) -> bool {
        self.names.is_pending()
    }

    fn found(&self, name: Option<&str>, pods: BTreeSet<String>, pids: &[u32]) -> Found {
        let by_name = name.map(|name| self.pods.folder().join(name));
        let proc = match &self.pods {
            Pods::Kubernetes(roots) => roots.proc.as_path(),
            Pods::Named(_) => Path::new("/proc"),
        };
        let by_process = pids.iter().map(|pid| proc.join(format!("{pid}/ns/net")));
        Found {
            name: name.map(str::to_owned),
            pods,
            paths: by_name.into_iter().chain(by_process).collect(),
        }
    }
}

/// The inode of a process's network namespace.
fn own_netns(process: &Path) -> Option<u64> {
    processes::inode(fs::read_link(process.join("ns/net")).ok()?.to_str()?)
}
