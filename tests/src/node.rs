//! The pods of a node as kubelet and a runtime leave them there: named network namespaces, and processes in cgroups.
//!
//! ```text
//!  /run/npvt-PID-N/cni-UUID                        namespaces, bound over files, as containerd does it
//!  /sys/fs/cgroup/…/npvt-PID-N/kubepods/besteffort/podUID/CONTAINER
//! ```

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use netpol_verify::sensor::{Pods, Roots, is_cni_name};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

static NEXT: AtomicU32 = AtomicU32::new(0);
/// Nodes' folders and cgroups begin with it, and go on with the number of their process.
const PREFIX: &str = "npvt-node-";
/// The hierarchies of cgroups that processes can be put into, of v1, v2 and both at once.
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// A node without a kubelet; removed when dropped, or by the next one where this process is killed.
pub struct Node {
    name: String,
    hierarchy: PathBuf,
}

/// A process of a container; killed when dropped.
pub struct Container(Child);

impl Node {
    /// Makes an empty one.
    ///
    /// # Errors
    /// There is no cgroup hierarchy, or it may not be written to.
    pub fn new() -> Result<Self> {
        remove_residue();
        let hierarchy = HIERARCHIES
            .into_iter()
            .map(PathBuf::from)
            .find(|folder| folder.join("cgroup.procs").exists())
            .context("no cgroup hierarchy is mounted")?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let node = Self {
            name: format!("{PREFIX}{}-{number}", std::process::id()),
            hierarchy,
        };
        fs::create_dir_all(node.folder())?;
        fs::create_dir_all(node.cgroup())?;
        Ok(node)
    }

    /// A sensor's way to find its pods, and no others on this machine.
    #[must_use]
    pub fn pods(&self) -> Pods {
        Pods::Kubernetes(self.roots())
    }

    /// As [`Self::pods`], to be changed.
    #[must_use]
    pub fn roots(&self) -> Roots {
        Roots {
            netns: self.folder(),
            cgroup: Some(format!("/{}", self.name)),
            ..Roots::default()
        }
    }

    /// The folder of its named namespaces.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        PathBuf::from("/run").join(&self.name)
    }

    fn cgroup(&self) -> PathBuf {
        self.hierarchy.join(&self.name)
    }

    /// A pod's UID by a number of the test's own.
    #[must_use]
    pub fn uid(&self, number: u32) -> String {
        format!("{:08x}-0000-4000-8000-{number:012x}", std::process::id())
    }

    /// Makes a namespace under a name: the file first, then the namespace bound over it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn name_netns(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder().join(name);
        File::create_new(&path)?;
        let bound = path.clone();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let none: Option<&str> = None;
            mount(
                Some("/proc/thread-self/ns/net"),
                &bound,
                none,
                MsFlags::MS_BIND,
                none,
            )
        })
        .join()
        .map_err(|_| anyhow::anyhow!("the thread panicked"))??;
        Ok(path)
    }

    /// A namespace as containerd names them.
    ///
    /// # Errors
    /// As [`Self::name_netns`].
    pub fn cni_netns(&self, number: u32) -> Result<PathBuf> {
        let name = format!("cni-{}", self.uid(number));
        ensure!(is_cni_name(&name));
        self.name_netns(&name)
    }

    /// Removes a namespace's name.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove_name(&self, path: &Path) -> Result<()> {
        umount2(path, MntFlags::MNT_DETACH)?;
        Ok(fs::remove_file(path)?)
    }

    /// Starts a process in the cgroup below the node's own, in a namespace, in a new one where there is none.
    ///
    /// # Errors
    /// A tool is missing, or the kernel refuses.
    pub fn start(&self, cgroup: &str, netns: Option<&Path>) -> Result<Container> {
        let folder = self.cgroup().join(cgroup);
        fs::create_dir_all(&folder)?;
        let enter = netns.map_or_else(
            || "unshare --net".to_owned(),
            |netns| format!("nsenter --net={}", netns.display()),
        );
        let script = format!(
            "echo $$ > {}/cgroup.procs && exec {enter} sh -c 'echo; exec sleep 1000'",
            folder.display()
        );
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "sh", "-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .context("running setpriv")?;
        // The empty line says that it is where it belongs.
        let mut line = [0];
        let read = child
            .stdout
            .take()
            .map(|mut output| std::io::Read::read(&mut output, &mut line));
        let container = Container(child);
        ensure!(matches!(read, Some(Ok(1))), "{script}: it did not start");
        Ok(container)
    }

    /// Starts a pod's first process.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_pod(&self, uid: &str, netns: Option<&Path>) -> Result<Container> {
        self.start(&format!("kubepods/besteffort/pod{uid}/pause"), netns)
    }
}

impl Container {
    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The path of its namespace.
    #[must_use]
    pub fn netns(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.pid()))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Removes what killed processes have left.
fn remove_residue() {
    let mut names: Vec<String> = ["/run"]
        .into_iter()
        .chain(HIERARCHIES)
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
            pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        remove(&name);
    }
}

fn remove(name: &str) {
    let folder = Path::new("/run").join(name);
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let _ = umount2(&entry.path(), MntFlags::MNT_DETACH);
        let _ = fs::remove_file(entry.path());
    }
    let _ = fs::remove_dir(&folder);
    for hierarchy in HIERARCHIES {
        remove_cgroup(&Path::new(hierarchy).join(name));
    }
}

/// The deepest first; processes in it are killed.
fn remove_cgroup(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    // A killed process leaves its cgroup a moment later.
    for _ in 0..100 {
        let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        for pid in processes.lines().filter_map(|line| line.parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        if !folder.exists() || fs::remove_dir(folder).is_ok() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
