//! The running cluster by its scripts, and `certify` on it.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// No step of a run takes longer.
const PATIENCE: Duration = Duration::from_secs(300);

/// The cluster.
pub(crate) struct Testbed {
    folder: PathBuf,
    scripts: PathBuf,
}

/// A run of `certify`.
pub(crate) struct Certify {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    output: tempfile::NamedTempFile,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) report: Option<Value>,
    pub(crate) said: String,
}

impl Testbed {
    /// The cluster that `cargo xtask cluster up` has started.
    pub(crate) fn find() -> Result<Self> {
        let variable = |name| env::var_os(name).map(PathBuf::from);
        let testbed = Self {
            folder: variable("NETPOL_VERIFY_TESTBED").unwrap_or_else(|| "/tmp/testbed".into()),
            scripts: variable("NETPOL_VERIFY_TESTBED_SCRIPTS").context(
                "NETPOL_VERIFY_TESTBED_SCRIPTS is not set: run these tests by `cargo xtask cluster test`",
            )?,
        };
        testbed.kubectl(&["get", "nodes"])?;
        Ok(testbed)
    }

    pub(crate) fn script(&self, name: &str) -> Command {
        let mut script = Command::new("bash");
        script.arg(self.scripts.join(name)).env("T", &self.folder);
        script
    }

    pub(crate) fn run(&self, mut command: Command) -> Result<String> {
        let done = command.output()?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        ensure!(
            done.status.success(),
            "{command:?}: {said}{}",
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(said)
    }

    /// `kubectl`.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut script = self.script("cluster.sh");
        script.arg("k").args(arguments);
        self.run(script)
    }

    /// Kills processes by their full command line in both nodes' own process namespaces, at once; there must be one.
    pub(crate) fn kill(&self, pattern: &str) -> Result<()> {
        let mut has_killed = false;
        for node in ["n1", "n2"] {
            let mut script = self.script("cluster.sh");
            script.args(["in", node, "pkill", "-KILL", "-f", pattern]);
            // It says so by its exit when none matched.
            has_killed |= script.output()?.status.success();
        }
        ensure!(has_killed, "no process is called {pattern}");
        Ok(())
    }

    /// Kills the API server, leaves it dead for a while, and starts the same again.
    pub(crate) fn restart_api_server(&self, dead: Duration) -> Result<()> {
        let file = self.folder.join("run/apiserver.pid");
        let pid = fs::read_to_string(&file)?.trim().to_owned();
        let command = fs::read(format!("/proc/{pid}/cmdline"))?;
        let words: Vec<String> = command
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        ensure!(
            words.first().is_some_and(|word| word.ends_with("kube-apiserver")),
            "{words:?}"
        );
        kill(Pid::from_raw(pid.parse()?), Signal::SIGKILL)?;
        thread::sleep(dead);
        let log = fs::File::create(self.folder.join("run/apiserver-again.log"))?;
        let child = Command::new("setsid")
            .arg("nsenter")
            .arg("--net=/run/netns/tb-cp")
            .args(words)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        // `cluster.sh down` ends it by this.
        fs::write(file, child.id().to_string())?;
        Ok(())
    }

    /// Starts Calico's felix again on every node.
    pub(crate) fn start_felix(&self, nodes: &str) -> Result<()> {
        let mut script = self.script("calico.sh");
        script
            .args(["up", nodes])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        ensure!(script.status()?.success(), "felix does not start");
        Ok(())
    }

    /// Starts `certify`, with the images that were loaded, and these words more.
    pub(crate) fn certify(&self, words: &[&str]) -> Result<Certify> {
        let kubeconfig = self.folder.join("pki/admin.kubeconfig");
        self.certify_as(&kubeconfig, words)
    }

    pub(crate) fn certify_as(&self, kubeconfig: &std::path::Path, words: &[&str]) -> Result<Certify> {
        let output = tempfile::NamedTempFile::new()?;
        let mut command = Command::new("nsenter");
        command
            .arg("--net=/run/netns/tb-cp")
            .arg(netpol_verify_tests::binary()?)
            .args(["certify", "-o", "json", "--kubeconfig"])
            .arg(kubeconfig)
            .args(["--image", "localhost/netpol-verify:dev"])
            .args(["--nats-image", "localhost/nats:dev"])
            .args(["--image-pull-policy", "Never"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(output.reopen()?)
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let stderr = child.stderr.take().context("no stderr")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Certify {
            child,
            lines,
            said: Vec::new(),
            output,
        })
    }

    /// An administrator's kubeconfig that speaks as somebody without rights.
    pub(crate) fn powerless(&self) -> Result<tempfile::NamedTempFile> {
        let admin = fs::read_to_string(self.folder.join("pki/admin.kubeconfig"))?;
        let mut config: Value = serde_saphyr::from_str(&admin)?;
        let user = config.pointer_mut("/users/0/user").context("no user")?;
        user.as_object_mut()
            .context("the user is no map")?
            .insert("as".to_owned(), "nobody".into());
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), serde_json::to_string(&config)?)?;
        Ok(file)
    }

    /// Nothing of ours is left in the cluster.
    pub(crate) fn assert_clean(&self) -> Result<()> {
        let kinds =
            "namespaces,daemonsets,deployments,clusterroles,clusterrolebindings,networkpolicies,leases";
        let left = self.kubectl(&["get", kinds, "-A", "-o", "name"])?;
        let ours: Vec<&str> = left
            .lines()
            .filter(|name| name.contains("netpol-verify") || name.contains("npv-"))
            .collect();
        ensure!(ours.is_empty(), "left behind: {ours:?}");
        Ok(())
    }
}

impl Certify {
    /// Waits until it says something.
    pub(crate) fn until(&mut self, mark: &str) -> Result<()> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let is_it = line.contains(mark);
                    self.said.push(line);
                    if is_it {
                        return Ok(());
                    }
                }
                Err(_) => bail!("it never said {mark:?}, but {}", self.said.join("\n")),
            }
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Result<nix::unistd::Pid> {
        Ok(nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?))
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Result<Ended> {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        let code = self.child.wait()?.code();
        let text = fs::read_to_string(self.output.path())?;
        Ok(Ended {
            code,
            report: serde_json::from_str(&text).ok(),
            said: self.said.join("\n"),
        })
    }
}

impl Drop for Certify {
    fn drop(&mut self) {
        // It has ended, or its test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    fn report(&self) -> Result<&Value> {
        self.report
            .as_ref()
            .with_context(|| format!("no report: {}", self.said))
    }

    /// It ended with this exit code and verdict.
    pub(crate) fn expect(&self, code: i32, verdict: &str) -> Result<()> {
        assert_eq!(
            (self.code, self.verdict()?),
            (Some(code), verdict),
            "{}",
            self.said
        );
        Ok(())
    }

    pub(crate) fn verdict(&self) -> Result<&str> {
        self.report()?["verdict"].as_str().context("no verdict")
    }

    /// Attempts of a stage with a verdict: whether each crossed nodes.
    pub(crate) fn attempts(&self, stage: &str, verdict: &str) -> Result<Vec<String>> {
        let attempts = self.report()?["attempts"].as_array().context("no attempts")?;
        Ok(attempts
            .iter()
            .filter(|one| one["stage"] == stage && one["verdict"] == verdict)
            .filter_map(|one| one["path"].as_str().map(str::to_owned))
            .collect())
    }
}
