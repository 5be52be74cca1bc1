//! The real binary, run as a user runs it, and the proof that it leaves nothing behind.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::residue;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The environment variable by which everything that a run starts is found again.
pub(crate) const TAG: &str = "NPV_TEST_TAG";

/// The binary beside this test's own, and not older than what it was made from.
///
/// # Errors
/// It is not there, or stale: the message says what to run.
pub fn binary() -> Result<PathBuf> {
    const BUILD: &str = "run `cargo build -p netpol-verify` in the same profile";
    let own = std::env::current_exe()?;
    let profile = own
        .ancestors()
        .find(|dir| dir.file_name().is_some_and(|name| name == "deps"))
        .and_then(Path::parent)
        .context("the test is not in a `deps` folder")?;
    let binary = profile.join("netpol-verify");
    let built = fs::metadata(&binary)
        .and_then(|data| data.modified())
        .with_context(|| format!("{}: {BUILD}", binary.display()))?;
    // Cargo lists there what it compiled; `cargo test` compiles the library anew and leaves the binary.
    let sources = fs::read_to_string(profile.join("netpol-verify.d"))?;
    for source in sources.split_whitespace().skip(1) {
        let newer = fs::metadata(source)
            .and_then(|data| data.modified())
            .is_ok_and(|changed| changed > built);
        ensure!(!newer, "{source} is newer than {}: {BUILD}", binary.display());
    }
    Ok(binary)
}

/// A command line of netpol-verify, not yet run.
pub struct Npv {
    /// The command, for what is special.
    pub command: Command,
    tag: String,
}

/// One that runs.
pub struct Running {
    child: Child,
    tag: String,
}

/// One that ran.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    pid: u32,
    tag: String,
}

impl Npv {
    /// A command line, words separated by spaces.
    ///
    /// # Errors
    /// The binary is not there.
    pub fn new(words: &str) -> Result<Self> {
        let tag = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new(binary()?);
        command
            .args(words.split_whitespace())
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .env(TAG, &tag)
            .env_remove("NETPOL_VERIFY_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(Self { command, tag })
    }

    /// Adds one word as it is.
    #[must_use]
    pub fn arg(mut self, word: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(word);
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(self) -> Result<Ran> {
        self.start()?.wait()
    }

    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(mut self) -> Result<Running> {
        Ok(Running {
            child: self.command.spawn()?,
            tag: self.tag,
        })
    }
}

impl Running {
    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal; one that is over already is no error.
    ///
    /// # Errors
    /// The number is none.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // Not waited for yet, so the number is still its own.
        let _ = kill(Pid::from_raw(i32::try_from(self.child.id())?), signal);
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Its output is no text.
    pub fn wait(self) -> Result<Ran> {
        let pid = self.child.id();
        let output = self.child.wait_with_output()?;
        Ok(Ran {
            code: code(output.status),
            out: String::from_utf8(output.stdout)?,
            err: String::from_utf8(output.stderr)?,
            pid,
            tag: self.tag,
        })
    }
}

fn code(status: ExitStatus) -> Option<i32> {
    status.code().filter(|_| status.signal().is_none())
}

impl Ran {
    /// The `Run` document on standard output, checked against the committed schema first.
    ///
    /// # Errors
    /// It is none.
    pub fn report(&self) -> Result<netpol_verify::report::Run> {
        let value: serde_json::Value =
            serde_json::from_str(&self.out).with_context(|| format!("exit {:?}, {}", self.code, self.err))?;
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../netpol-verify/schema/run.schema.json");
        let schema: serde_json::Value = serde_json::from_reader(File::open(schema)?)?;
        if let Err(error) = jsonschema::validate(&schema, &value) {
            bail!("against the schema: {error} at {}", error.instance_path());
        }
        Ok(serde_json::from_value(value)?)
    }

    /// The one line on standard error.
    ///
    /// # Errors
    /// There are more or none.
    pub fn complaint(&self) -> Result<&str> {
        let lines: Vec<&str> = self.err.lines().collect();
        match lines.as_slice() {
            [line] => Ok(line),
            _ => bail!("expected one line on standard error: {self:?}"),
        }
    }

    /// Expects an exit code.
    ///
    /// # Errors
    /// It is another.
    pub fn expect(self, code: i32) -> Result<Self> {
        ensure!(self.code == Some(code), "expected exit {code}: {self:?}");
        ensure!(!self.err.contains("panicked"), "{self:?}");
        Ok(self)
    }

    /// Standard output as one JSON document.
    ///
    /// # Errors
    /// It is none of this kind; with standard error.
    pub fn document<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.out).with_context(|| self.err.clone())
    }

    /// Expects that no namespace, link, file, process or program of this run is left. The kernel lets programs go a moment
    /// after their process.
    ///
    /// # Errors
    /// With what is left.
    pub fn nothing_left(&self) -> Result<()> {
        let mut left = Vec::new();
        for _ in 0..100 {
            left = residue::of(self.pid, &self.tag)?;
            if left.is_empty() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(30));
        }
        bail!("left behind by {self:?}: {left:?}")
    }
}

/// The right to use what a machine has once: the standing lab. Other test processes wait.
pub struct StandingLab(File);

impl StandingLab {
    /// Waits for it; when dropped, the lab that a failed test left is removed.
    ///
    /// # Errors
    /// Somebody's lab stands: it is not a test's to remove.
    pub fn alone() -> Result<Self> {
        let file = File::create("/run/netpol-verify-tests.lock")?;
        file.lock()?;
        ensure!(
            !Path::new("/run/netpol-verify/lab-default.json").exists(),
            "a lab is up on this machine; run `netpol-verify lab down` first"
        );
        Ok(Self(file))
    }
}

impl Drop for StandingLab {
    fn drop(&mut self) {
        let standing = Path::new("/run/netpol-verify/lab-default.json").exists();
        if standing && let Ok(clean) = Npv::new("lab --clean") {
            let _ = clean.run();
        }
        let _ = self.0.unlock();
    }
}
