//! The product's own processes, started as in a cluster, and what they hold and use.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use netpol_verify::{
    bus::nats::{NatsAccess, Password, Role},
    lab::Netns,
};
use netpol_verify_tests::{ApiServer, NatsServer, Node, Npv, Running};
use nix::{
    sys::signal::Signal,
    unistd::{SysconfVar, sysconf},
};

/// Where a verifier serves, in a namespace where nobody else listens.
pub(crate) const LISTEN: &str = "127.0.0.1:9464";

/// A running `sensor` or `verifier`; ended when dropped.
pub(crate) struct Process(Option<Running>);

/// A process's memory in MiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// `VmRSS`.
    pub(crate) resident: f64,
    /// `RssAnon`: what is its own.
    pub(crate) own: f64,
    /// `VmHWM`: the most that it ever had.
    pub(crate) peak: f64,
}

impl Process {
    /// A sensor that watches a node's pods, in the caller's network namespace.
    pub(crate) fn sensor(name: &str, node: &Node, nats: &NatsServer) -> Result<Self> {
        let roots = node.roots();
        let words = format!(
            "sensor --node {name} --netns {} --cgroup-root {} {}",
            roots.netns.display(),
            roots.cgroup.unwrap_or_default(),
            nats_words(nats, Role::Sensor)?
        );
        Self::start(&words, nats, "sensor.log")
    }

    /// A verifier of a cluster, in the caller's network namespace.
    pub(crate) fn verifier(server: &ApiServer, nats: &NatsServer) -> Result<Self> {
        let kubeconfig = server.access("admin").kubeconfig.context("no kubeconfig")?;
        let words = format!(
            "verifier --listen {LISTEN} --context admin --kubeconfig {} {}",
            kubeconfig.display(),
            nats_words(nats, Role::Verifier)?
        );
        Self::start(&words, nats, "verifier.log")
    }

    fn start(words: &str, nats: &NatsServer, log: &str) -> Result<Self> {
        let log = File::create(nats.folder().join(log))?;
        let mut command = Npv::new(words)?;
        // A pipe that nobody reads would hold it up.
        command.command.stdout(log.try_clone()?).stderr(log);
        Ok(Self(Some(command.start()?)))
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.0.as_ref().map_or(0, Running::pid)
    }

    /// What it holds now.
    pub(crate) fn memory(&self) -> Result<Memory> {
        memory(self.pid())
    }

    /// The processor's seconds that it has used.
    pub(crate) fn used(&self) -> Result<f64> {
        used(self.pid())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            let _ = running.signal(Signal::SIGKILL);
            let _ = running.wait();
        }
    }
}

fn nats_words(nats: &NatsServer, role: Role) -> Result<String> {
    let NatsAccess {
        url,
        ca,
        user,
        password,
        ..
    } = nats.access(role);
    let Password::File(password) = password else {
        bail!("the harness gives passwords in files")
    };
    Ok(format!(
        "--nats {url} --nats-user {} --nats-password-file {} --nats-ca {}",
        user.context("no user")?,
        password.display(),
        ca.context("no authority")?.display(),
    ))
}

/// What a process holds now.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mebibytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes: Option<f64> = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        kibibytes
            .map(|kibibytes| kibibytes / 1024.0)
            .with_context(|| format!("no {name}: is it over?"))
    };
    Ok(Memory {
        resident: mebibytes("VmRSS:")?,
        own: mebibytes("RssAnon:")?,
        peak: mebibytes("VmHWM:")?,
    })
}

/// The processor's seconds that a process has used, its own and the kernel's for it.
pub(crate) fn used(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the name, which may hold anything: utime and stime are the twelfth and thirteenth word.
    let words = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = words
        .skip(11)
        .take(2)
        .map(|word| word.parse().unwrap_or(0_u64))
        .sum();
    let a_second = sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100);
    Ok(ticks as f64 / a_second as f64)
}

/// Asks a verifier in a namespace: the status and the answer.
pub(crate) fn ask(netns: &Netns, path: &str) -> Result<(u16, String)> {
    let text = netns.run(|| {
        let mut stream = open(path)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        anyhow::Ok(text)
    })??;
    let (head, body) = text.split_once("\r\n\r\n").context("no end of its head")?;
    let code = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((code, body.to_owned()))
}

/// A connection to the verifier of the caller's namespace, on which it was asked.
pub(crate) fn open(path: &str) -> Result<TcpStream> {
    let address: SocketAddr = LISTEN.parse()?;
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: verifier\r\n\r\n")?;
    Ok(stream)
}

/// Looks every few milliseconds until something is so, for two minutes at most.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let mut last = None;
    for _ in 0..24_000 {
        match is_so() {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // An answer that does not come is no answer yet.
            Err(error) => last = Some(error),
        }
        thread::sleep(Duration::from_millis(5));
    }
    bail!("never: {what}; {last:?}")
}
