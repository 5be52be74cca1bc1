//! `cargo xtask cluster`: a real Kubernetes on this machine, by the scripts of the testbed: nodes are namespaces, images
//! come from archives, and nothing listens in the machine's own network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};

use crate::{apiserver, command, go, image, packages};

/// Where the scripts are, seen from the workspace; `NETPOL_VERIFY_TESTBED_SCRIPTS` names another place.
const SCRIPTS: &str = "../shared/testbed";
/// The scripts make credentials for so many.
const MOST_NODES: u8 = 3;
const KUBERNETES: [&str; 6] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
];

/// What to do with the cluster.
#[derive(Subcommand)]
pub(crate) enum Step {
    /// Installs and builds what is missing (20 minutes the first time) and starts the cluster (half a minute)
    Up(Up),
    /// Makes the images and imports them on every node
    Load(Load),
    /// Starts a cluster for each CNI, runs its tests, and ends it (20 minutes)
    Test(TestOptions),
    /// Ends it and removes its namespaces and data; programs and images stay
    Down,
}

/// Options of `up`.
#[derive(Args)]
pub(crate) struct Up {
    /// The CNI: only Calico enforces NetworkPolicies
    #[arg(long, value_enum, default_value = "bridge")]
    cni: Cni,
    /// How many nodes
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=i64::from(MOST_NODES)))]
    nodes: u8,
}

/// Options of `load`.
#[derive(Args)]
pub(crate) struct Load {
    /// Into the nodes of this kind cluster instead
    #[arg(long, value_name = "NAME")]
    kind: Option<String>,
    /// Import these archives and make none
    #[arg(long, value_name = "FILE")]
    archive: Vec<PathBuf>,
}

/// Options of `test`.
#[derive(Args)]
pub(crate) struct TestOptions {
    /// Only these CNIs; may be repeated
    #[arg(long, value_enum)]
    cni: Vec<Cni>,
    /// Import these archives and make none
    #[arg(long, value_name = "FILE")]
    archive: Vec<PathBuf>,
}

/// What is tested: two ways to enforce nothing, and one that enforces.
const TESTED: [Cni; 3] = [Cni::Bridge, Cni::FlannelVxlan, Cni::Calico];

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Cni {
    /// The plugin `bridge` with static routes: enforces nothing
    Bridge,
    /// Flannel over VXLAN: enforces nothing
    FlannelVxlan,
    /// Flannel with routes: enforces nothing
    FlannelHostGw,
    /// Calico with its iptables dataplane: enforces
    Calico,
}

/// Takes one step.
pub(crate) fn run(step: &Step) -> Result<()> {
    if let Step::Load(Load {
        kind: Some(name),
        archive,
    }) = step
    {
        for archive in archives(archive)? {
            command::run(
                command::program("kind")
                    .args(["load", "image-archive"])
                    .arg(archive)
                    .args(["--name", name]),
            )?;
        }
        return Ok(());
    }
    if !command::is_root() {
        bail!("the cluster's nodes are namespaces: run this as root");
    }
    let testbed = Testbed::find()?;
    match step {
        Step::Up(options) => testbed.up(options),
        Step::Load(load) => testbed.load(&load.archive),
        Step::Test(options) => testbed.test(options),
        Step::Down => command::run(testbed.script("cluster.sh").arg("down")),
    }
}

/// The scripts, and the folder in which they keep programs, images and the running cluster.
struct Testbed {
    scripts: PathBuf,
    folder: PathBuf,
}

impl Cni {
    /// The modules of tests that are for it.
    const fn tests(self) -> &'static [&'static str] {
        match self {
            Self::Bridge => &["leaky::", "service::"],
            Self::FlannelVxlan | Self::FlannelHostGw => &["leaky::"],
            Self::Calico => &["calico::"],
        }
    }
}

impl Testbed {
    /// A cluster for each CNI, its tests, and the cluster's end.
    fn test(&self, options: &TestOptions) -> Result<()> {
        let archives = archives(&options.archive)?;
        // What the tests run is what they were built with.
        command::run(command::cargo().args(["build", "--locked", "--package", "netpol-verify"]))?;
        let cnis = if options.cni.is_empty() {
            &TESTED[..]
        } else {
            &options.cni
        };
        for cni in cnis {
            self.up(&Up { cni: *cni, nodes: 2 })?;
            self.load(&archives)?;
            let tested = command::run(
                command::cargo()
                    .args([
                        "test",
                        "--locked",
                        "--package",
                        "netpol-verify-tests",
                        "--test",
                        "cluster",
                        "--",
                        "--show-output",
                        "--test-threads=1",
                    ])
                    .args(cni.tests())
                    .env("NETPOL_VERIFY_TESTBED", &self.folder)
                    .env("NETPOL_VERIFY_TESTBED_SCRIPTS", &self.scripts),
            );
            command::run(self.script("cluster.sh").arg("down"))?;
            tested?;
        }
        Ok(())
    }

    fn find() -> Result<Self> {
        let scripts = std::env::var_os("NETPOL_VERIFY_TESTBED_SCRIPTS")
            .map_or_else(|| command::workspace().join(SCRIPTS), PathBuf::from);
        let scripts = fs::canonicalize(&scripts)
            .ok()
            .filter(|folder| folder.join("cluster.sh").is_file())
            .with_context(|| {
                format!(
                    "no cluster.sh in {}: name the testbed's scripts by NETPOL_VERIFY_TESTBED_SCRIPTS",
                    scripts.display()
                )
            })?;
        Ok(Self {
            scripts,
            folder: apiserver::folder()?,
        })
    }

    /// A script, told the folder; what was unpacked or built comes before what is installed.
    fn script(&self, name: &str) -> Command {
        let mut script = command::program("bash");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = [
            self.folder.join("bin"),
            PathBuf::from("/usr/sbin"),
            PathBuf::from("/sbin"),
        ]
        .into_iter()
        .chain(std::env::split_paths(&path));
        if let Ok(path) = std::env::join_paths(path) {
            script.env("PATH", path);
        }
        // They call themselves by their own name, so it must be a whole one.
        script.arg(self.scripts.join(name)).env("T", &self.folder);
        script
    }

    fn up(&self, options: &Up) -> Result<()> {
        if self
            .folder
            .join("run")
            .read_dir()
            .is_ok_and(|mut run| run.any(|file| is_pid(&file)))
        {
            bail!("a cluster is there already: `cargo xtask cluster down` ends it");
        }
        if !Path::new("/sys/fs/cgroup/cpuset").is_dir() {
            bail!(
                "the testbed's nodes live in control groups of version 1: boot with systemd.unified_cgroup_hierarchy=0, or \
                 use kind and `cargo xtask cluster load --kind NAME`"
            );
        }
        packages::ensure(&packages::CLUSTER, "a cluster on this machine")?;
        apiserver::etcd(&self.folder.join("bin"))?;
        self.programs(options.cni)?;
        if !Path::new("/proc/sys/net/bridge").is_dir() {
            command::run(command::program("modprobe").arg("br_netfilter"))?;
        }
        let started = Instant::now();
        let nodes = options.nodes.to_string();
        println!("Starting {nodes} nodes; half a minute.");
        let mut up = self.script("cluster.sh");
        up.args(["up", &nodes]).env("PROXY", "iptables");
        match options.cni {
            Cni::Bridge => up.env("CNI", "bridge"),
            Cni::FlannelVxlan | Cni::FlannelHostGw => up.env("CNI", "none"),
            Cni::Calico => {
                command::run(self.script("calico.sh").arg("bin"))?;
                up.env("CNI", "none").env("CNIBIN", self.folder.join("cni"))
            }
        };
        command::run(&mut up)?;
        match options.cni {
            Cni::Bridge => {}
            Cni::FlannelVxlan => command::run(self.script("flannel.sh").args([&nodes, "vxlan"]))?,
            Cni::FlannelHostGw => command::run(self.script("flannel.sh").args([&nodes, "host-gw"]))?,
            Cni::Calico => command::run(self.with_go("calico.sh")?.args(["up", &nodes]))?,
        }
        self.routes(options.nodes)?;
        let ready = [
            "k",
            "wait",
            "--for=condition=Ready",
            "node",
            "--all",
            "--timeout=120s",
        ];
        command::run(self.script("cluster.sh").args(ready))?;
        println!(
            "The cluster is up after {} s. kubectl: {} k …; kubeconfig: {}, from the network namespace tb-cp.",
            started.elapsed().as_secs(),
            self.scripts.join("cluster.sh").display(),
            self.folder.join("pki/admin.kubeconfig").display()
        );
        Ok(())
    }

    /// Builds what this CNI needs and is not there.
    fn programs(&self, cni: Cni) -> Result<()> {
        let mut wanted = vec![("k8s", &KUBERNETES[..], 10), ("agnhost", &["agnhost"], 2)];
        match cni {
            Cni::Bridge => {}
            Cni::FlannelVxlan | Cni::FlannelHostGw => wanted.push(("flannel", &["flanneld"], 3)),
            Cni::Calico => wanted.push(("calico", &["calico-cni", "calico-felix"], 5)),
        }
        for (part, programs, minutes) in wanted {
            if programs
                .iter()
                .all(|name| self.folder.join("bin").join(name).is_file())
            {
                println!("{part}: there.");
                continue;
            }
            println!("Building {part}; about {minutes} minutes, once.");
            command::run(self.with_go("build.sh")?.arg(part))?;
        }
        if self.folder.join("images/pause.tar").is_file() && self.folder.join("images/agnhost.tar").is_file()
        {
            println!("images: there.");
            return Ok(());
        }
        command::run(
            self.with_go("images.sh")?
                .arg(self.folder.join("images"))
                .env("AGNHOST", self.folder.join("bin/agnhost")),
        )
    }

    /// A script that calls `go`.
    fn with_go(&self, name: &str) -> Result<Command> {
        let go = go::ensure(&self.folder)?;
        let mut script = self.script(name);
        let path = script
            .get_envs()
            .find(|(key, _)| *key == "PATH")
            .and_then(|(_, value)| value)
            .unwrap_or_default()
            .to_owned();
        let path = go
            .parent()
            .map(Path::to_path_buf)
            .into_iter()
            .chain(std::env::split_paths(&path));
        script
            .env("PATH", std::env::join_paths(path)?)
            .env_remove("GOROOT");
        Ok(script)
    }

    /// From the control plane to pods, so that the API server's answers find them whatever the CNI.
    fn routes(&self, nodes: u8) -> Result<()> {
        for node in 1..=nodes {
            let cidr = command::output(self.script("cluster.sh").args([
                "k",
                "get",
                "node",
                &format!("n{node}"),
                "-o",
                "jsonpath={.spec.podCIDR}",
            ]))?;
            command::run(
                command::program("ip")
                    .args(["-n", "tb-cp", "route", "replace", cidr.trim(), "via"])
                    .arg(format!("10.99.0.1{node}")),
            )?;
        }
        Ok(())
    }

    fn load(&self, given: &[PathBuf]) -> Result<()> {
        let nodes: Vec<String> = (1..=MOST_NODES)
            .map(|node| format!("n{node}"))
            .filter(|node| self.folder.join(format!("run/init-{node}.pid")).is_file())
            .collect();
        if nodes.is_empty() {
            bail!("no cluster is up: `cargo xtask cluster up`");
        }
        for archive in archives(given)? {
            // The scripts enter a node's own mount namespace; the path must not depend on the folder.
            let archive = fs::canonicalize(&archive).with_context(|| format!("no {}", archive.display()))?;
            for node in &nodes {
                command::run(
                    self.script("cluster.sh")
                        .args(["in", node, "ctr", "-n", "k8s.io", "images", "import"])
                        .arg(&archive),
                )?;
            }
        }
        println!(
            "On every node. Next: helm or manifests with these images and `pullPolicy: Never`, see deploy/README.md."
        );
        Ok(())
    }
}

fn archives(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if given.is_empty() {
        return image::run(&image::Options::default());
    }
    Ok(given.to_vec())
}

fn is_pid(file: &std::io::Result<fs::DirEntry>) -> bool {
    file.as_ref()
        .is_ok_and(|file| file.path().extension().is_some_and(|kind| kind == "pid"))
}
