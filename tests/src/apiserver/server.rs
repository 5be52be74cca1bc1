//! One server from its start to its end, and asking it as its administrator.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use netpol_verify::{cluster::Access, lab::Netns};
use serde_json::{Value, json};

use super::{
    credentials::{self, ADDRESS},
    programs::{self, Programs},
    residue,
};

static NEXT: AtomicU32 = AtomicU32::new(0);
static SHARED: Mutex<Weak<ApiServer>> = Mutex::new(Weak::new());

/// An API server and its etcd.
pub struct ApiServer {
    pub(super) name: String,
    folder: PathBuf,
    /// Says that this process lives; the kernel lets go of it.
    _lock: File,
    /// etcd, and behind it the server.
    pub(super) children: Vec<(&'static str, Child)>,
}

impl ApiServer {
    /// The server that tests share while one of them uses it; each writes into namespaces of its own. `None` after saying why
    /// this machine has none.
    ///
    /// # Errors
    /// It does not start.
    pub fn shared(test: &str) -> Result<Option<Arc<Self>>> {
        // A test that failed while it started one has left nothing in there.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(Some(server));
        }
        let server = Self::start(test)?.map(Arc::new);
        if let Some(server) = &server {
            *shared = Arc::downgrade(server);
        }
        Ok(server)
    }

    /// A server of one test's own. `None` after saying why this machine has none.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(test: &str) -> Result<Option<Self>> {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: {test}: not root, so no network namespace can be made");
            return Ok(None);
        }
        let programs = match programs::find() {
            Ok(programs) => programs,
            Err(why) => {
                println!("SKIPPED: {test}: {why}");
                return Ok(None);
            }
        };
        let name = format!(
            "npva-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let (folder, lock) = residue::claim(&name)?;
        // From here on, whatever fails, all of it is removed again.
        let mut server = Self {
            name,
            folder,
            _lock: lock,
            children: Vec::new(),
        };
        server.build(&programs).with_context(|| server.logs())?;
        Ok(Some(server))
    }

    fn build(&mut self, programs: &Programs) -> Result<()> {
        let netns = Netns::create(&self.name)?;
        for arguments in [
            "link set lo up".to_owned(),
            format!("addr add {ADDRESS}/32 dev lo"),
        ] {
            let mut ip = Command::new("ip");
            ip.args(arguments.split_whitespace());
            let output = netns.command(ip)?;
            ensure!(output.status.success(), "ip {arguments}: {output:?}");
        }
        credentials::make(&self.folder)?;
        self.spawn(
            &netns,
            "etcd",
            &programs.etcd,
            "--data-dir etcd --unsafe-no-fsync \
             --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
             --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
             --initial-cluster default=http://127.0.0.1:2380",
        )?;
        self.spawn_server(&netns, programs)?;
        self.wait_until_ready()
    }

    pub(super) fn spawn_server(&mut self, netns: &Netns, programs: &Programs) -> Result<()> {
        self.spawn(
            netns,
            "kube-apiserver",
            &programs.apiserver,
            &format!(
                "--etcd-servers http://127.0.0.1:2379 --bind-address {ADDRESS} --advertise-address {ADDRESS} --secure-port 6443 \
                 --endpoint-reconciler-type none --tls-cert-file server.crt --tls-private-key-file server.key \
                 --client-ca-file ca.crt --cert-dir certificates --token-auth-file tokens.csv --authorization-mode RBAC \
                 --disable-admission-plugins ServiceAccount --service-cluster-ip-range 10.98.0.0/16 \
                 --service-account-issuer https://kubernetes.default.svc --service-account-key-file accounts.key \
                 --service-account-signing-key-file accounts.key"
            ),
        )
    }

    fn spawn(&mut self, netns: &Netns, name: &'static str, program: &Path, arguments: &str) -> Result<()> {
        let log = File::create(self.folder.join(name).with_extension("log"))?;
        let mut command = Command::new(program);
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.folder)
            .env(residue::TAG, &self.name)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.children.push((name, netns.spawn(command)?));
        Ok(())
    }

    pub(super) fn wait_until_ready(&mut self) -> Result<()> {
        for _ in 0..1_200 {
            for (name, child) in &mut self.children {
                if let Some(status) = child.try_wait()? {
                    bail!("{name} ended: {status}");
                }
            }
            if matches!(self.ask("GET", "/readyz", None), Ok((200, _))) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        bail!("the API server is not ready after two minutes")
    }

    /// The ends of both logs.
    pub(super) fn logs(&self) -> String {
        let ends = self.children.iter().map(|(name, _)| {
            let text = fs::read_to_string(self.folder.join(name).with_extension("log")).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(15).collect();
            let lines: Vec<&str> = lines.into_iter().rev().collect();
            format!("{name} says:\n{}", lines.join("\n"))
        });
        ends.collect::<Vec<_>>().join("\n")
    }

    /// How a user, or another context of the kubeconfig, reaches it.
    #[must_use]
    pub fn access(&self, context: &str) -> Access {
        Access {
            kubeconfig: Some(credentials::kubeconfig(&self.folder)),
            context: Some(context.to_owned()),
            request_timeout: None,
        }
    }

    /// The server's network namespace.
    ///
    /// # Errors
    /// It is gone.
    pub fn netns(&self) -> Result<Netns> {
        Ok(Netns::open(&self.name)?)
    }

    /// Runs work in the server's network namespace, on a runtime of one thread.
    ///
    /// # Errors
    /// The namespace cannot be entered.
    pub fn inside<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> Result<T> {
        Netns::open(&self.name)?.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            Ok(runtime.block_on(work()))
        })?
    }

    /// Asks it as its administrator: the status and the answer.
    ///
    /// # Errors
    /// There is no answer.
    pub fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<(u16, Value)> {
        self.inside(async || ask(&self.admin().await?, method, path, body).await)?
    }

    /// Creates objects, many at once, in no order; each with the path of its collection.
    ///
    /// # Errors
    /// It refuses one.
    pub fn create(&self, objects: impl IntoIterator<Item = (String, Value)>) -> Result<()> {
        let objects: Vec<(String, Value)> = objects.into_iter().collect();
        self.inside(async || {
            let client = self.admin().await?;
            let mut running = tokio::task::JoinSet::new();
            for (path, object) in objects {
                let client = client.clone();
                running.spawn(async move {
                    let (status, answer) = ask(&client, "POST", &path, Some(object)).await?;
                    ensure!(status == 201, "{path}: {status} {answer}");
                    anyhow::Ok(())
                });
                if running.len() >= 32
                    && let Some(done) = running.join_next().await
                {
                    done??;
                }
            }
            while let Some(done) = running.join_next().await {
                done??;
            }
            Ok(())
        })?
    }

    /// Gives a user rights in the whole cluster by rules of a ClusterRole, and waits until they hold.
    ///
    /// # Errors
    /// It refuses.
    pub fn grant(&self, user: &str, rules: &[Value]) -> Result<()> {
        const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
        let metadata = json!({"generateName": format!("{user}-")});
        let role = json!({"metadata": metadata, "rules": rules});
        let (status, role) = self.ask("POST", &format!("{RBAC}/clusterroles"), Some(role))?;
        ensure!(status == 201, "{role}");
        let binding = json!({
            "metadata": metadata,
            "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
            "roleRef": {"kind": "ClusterRole", "name": role["metadata"]["name"], "apiGroup": "rbac.authorization.k8s.io"},
        });
        self.create([(format!("{RBAC}/clusterrolebindings"), binding)])?;
        let rule = rules.last().context("no rules")?;
        let asked = json!({"spec": {"user": user, "resourceAttributes": {
            "verb": rule["verbs"][0], "group": rule["apiGroups"][0], "resource": rule["resources"][0],
        }}});
        for _ in 0..200 {
            let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
            let (_, review) = self.ask("POST", path, Some(asked.clone()))?;
            if review["status"]["allowed"] == true {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("{user} did not get {rule}")
    }

    async fn admin(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(credentials::kubeconfig(&self.folder))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        for (_, child) in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Err(error) = residue::remove(&self.name, &self.folder) {
            eprintln!("{}: {error:#}", self.name);
        }
    }
}

async fn ask(client: &Client, method: &str, path: &str, body: Option<Value>) -> Result<(u16, Value)> {
    let kind = if method == "PATCH" {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, kind)
        .body(body)?;
    match client.request_text(request).await {
        Ok(text) => {
            let status = if method == "POST" { 201 } else { 200 };
            Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
        }
        Err(kube::Error::Api(status)) => Ok((status.code, serde_json::to_value(&*status)?)),
        Err(error) => Err(error.into()),
    }
}
