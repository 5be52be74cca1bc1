//! One server from its start to its end, killed and started again in between.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail, ensure};
use netpol_verify::bus::nats::{Credentials, NatsAccess, Password, Role, SERVER_NAME, fresh_credentials};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;

use super::RawNats;
use crate::apiserver::{programs, residue};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// What is unusual about a server.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Whether it speaks TLS, and nothing else.
    pub tls: bool,
    /// The name in its certificate.
    pub name: &'static str,
    /// The largest message it takes.
    pub max_payload: usize,
    /// Whether it serves its own figures.
    pub figures: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            tls: true,
            name: SERVER_NAME,
            max_payload: 1024 * 1024,
            figures: false,
        }
    }
}

/// A NATS server.
pub struct NatsServer {
    name: String,
    folder: PathBuf,
    /// Says that this process lives; the kernel lets go of it.
    _lock: File,
    program: PathBuf,
    setup: Setup,
    credentials: Credentials,
    child: Option<Child>,
    port: Option<u16>,
    /// Where it serves its figures.
    monitor: Option<u16>,
}

impl NatsServer {
    /// A server as in a cluster. `None` after saying why this machine has none.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(test: &str) -> Result<Option<Self>> {
        Self::start_with(test, Setup::default())
    }

    /// A server of another kind. `None` after saying why this machine has none.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_with(test: &str, setup: Setup) -> Result<Option<Self>> {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: {test}: not root, so what a killed run leaves could not be found again");
            return Ok(None);
        }
        let program = match programs::find_one("nats-server") {
            Ok(program) => program,
            Err(why) => {
                println!("SKIPPED: {test}: {why}");
                return Ok(None);
            }
        };
        let name = format!(
            "npvn-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let (folder, lock) = residue::claim(&name)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut server = Self {
            name,
            folder,
            _lock: lock,
            program,
            setup,
            credentials: fresh_credentials(i64::try_from(now)?)?,
            child: None,
            port: None,
            monitor: None,
        };
        if setup.name != SERVER_NAME {
            rename(&mut server.credentials, setup.name)?;
        }
        for (file, text) in [
            ("ca.crt", &server.credentials.ca),
            ("server.crt", &server.credentials.cert),
            ("server.key", &server.credentials.key),
            ("sensor.password", &server.credentials.sensor_password),
            ("verifier.password", &server.credentials.verifier_password),
        ] {
            fs::write(server.folder.join(file), text)?;
        }
        server.restart()?;
        Ok(Some(server))
    }

    /// Starts it again, on the same port, with what it has stored.
    ///
    /// # Errors
    /// It does not start, or runs already.
    pub fn restart(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "{} runs", self.name);
        let ports = self.folder.join("ports");
        let _ = fs::remove_dir_all(&ports);
        fs::create_dir(&ports)?;
        fs::write(self.folder.join("nats.conf"), self.config())?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("nats.log"))?;
        let child = Command::new(&self.program)
            .args(["--config", "nats.conf", "--ports_file_dir", "ports"])
            .current_dir(&self.folder)
            .env(residue::TAG, &self.name)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let file = ports.join(format!("nats-server_{}.ports", child.id()));
        self.child = Some(child);
        self.wait_until_ready(&file).with_context(|| self.log())
    }

    fn wait_until_ready(&mut self, ports: &Path) -> Result<()> {
        for _ in 0..2_400 {
            if let Some(status) = self.child.as_mut().context("it was not started")?.try_wait()? {
                bail!("nats-server ended: {status}");
            }
            // Written in one go or not: what is half there cannot be read.
            let said = fs::read(ports)
                .ok()
                .and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            let port = |what: &str| {
                let url = said.as_ref()?[what][0].as_str()?;
                url.rsplit(':').next()?.parse().ok()
            };
            if let Some(port_of_nats) = port("nats") {
                self.port = Some(port_of_nats);
                self.monitor = port("monitoring");
                return Ok(());
            }
            thread::sleep(Duration::from_millis(25));
        }
        bail!("nats-server is not ready after a minute")
    }

    fn config(&self) -> String {
        let port = self.port.map_or(-1, i32::from);
        let figures = if self.setup.figures {
            "http: \"127.0.0.1:-1\""
        } else {
            ""
        };
        let tls = if self.setup.tls {
            "tls { cert_file: \"server.crt\", key_file: \"server.key\" }"
        } else {
            ""
        };
        let Credentials {
            sensor_password,
            verifier_password,
            ..
        } = &self.credentials;
        format!(
            r#"
host: 127.0.0.1
port: {port}
max_payload: {}
jetstream {{ store_dir: "store", max_memory_store: 16MB, max_file_store: 512MB }}
{tls}
{figures}
authorization {{
  users: [
    {{ user: sensor, password: "{sensor_password}", permissions: {{
      publish: ["npv.sensors.>"]
      subscribe: ["npv.ask.>", "npv.call", "_INBOX.npv-sensor.>"]
      allow_responses: {{ max: 1, expires: "1m" }}
    }} }}
    {{ user: verifier, password: "{verifier_password}", permissions: {{
      publish: ["npv.>", "$JS.>"]
      subscribe: ["npv.>", "_INBOX.npv-verifier.>"]
    }} }}
  ]
}}
"#,
            self.setup.max_payload
        )
    }

    /// How one of that role reaches it.
    #[must_use]
    pub fn access(&self, role: Role) -> NatsAccess {
        let user = match role {
            Role::Sensor => "sensor",
            Role::Verifier => "verifier",
        };
        NatsAccess {
            url: format!("nats://127.0.0.1:{}", self.port.unwrap_or_default()),
            ca: self.setup.tls.then(|| self.folder.join("ca.crt")),
            user: Some(user.to_owned()),
            password: Password::File(self.folder.join(format!("{user}.password"))),
            role,
        }
    }

    /// Speaks its protocol by hand; not with TLS.
    ///
    /// # Errors
    /// It does not answer.
    pub fn raw(&self, role: Role) -> Result<RawNats> {
        let (user, password) = match role {
            Role::Sensor => ("sensor", &self.credentials.sensor_password),
            Role::Verifier => ("verifier", &self.credentials.verifier_password),
        };
        RawNats::connect(self.port.context("it has no port")?, user, password)
    }

    /// Its own figures at a path as `/varz`; only where it was set up to serve them.
    ///
    /// # Errors
    /// It does not serve them.
    pub fn figures(&self, path: &str) -> Result<Value> {
        let port = self.monitor.context("it serves no figures")?;
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: nats\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no end of its head")?;
        Ok(serde_json::from_str(body)?)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it without a word.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Stops it where it stands, or lets it go on.
    ///
    /// # Errors
    /// It does not run.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let child = self.child.as_ref().context("it does not run")?;
        let signal = if frozen { Signal::SIGSTOP } else { Signal::SIGCONT };
        // Not waited for yet, so the number is still its own.
        Ok(kill(Pid::from_raw(i32::try_from(child.id())?), signal)?)
    }

    /// The end of its log.
    #[must_use]
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("nats.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        let lines: Vec<&str> = lines.into_iter().rev().collect();
        format!("nats-server says:\n{}", lines.join("\n"))
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Err(error) = residue::remove(&self.name, &self.folder) {
            eprintln!("{}: {error:#}", self.name);
        }
    }
}

/// Puts another name into the certificate.
fn rename(credentials: &mut Credentials, name: &str) -> Result<()> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = [name.to_owned(), "127.0.0.1".to_owned()];
    credentials.cert = CertificateParams::new(names)?.signed_by(&key, &authority)?.pem();
    credentials.key = key.serialize_pem();
    credentials.ca = authority.pem();
    Ok(())
}
