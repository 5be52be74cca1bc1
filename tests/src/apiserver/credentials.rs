//! Certificates, tokens and kubeconfigs of one server.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

/// Who may log in, each with a context of that name: `admin` may do everything, the others what a test grants them.
pub(super) const USERS: [&str; 5] = ["admin", "nobody", "reader", "partial", "shipped"];

/// The address in the server's own namespace.
pub(super) const ADDRESS: &str = "10.99.0.1";

/// Makes an authority, the server's certificate, a key for service accounts, tokens, and a kubeconfig with a context for each user.
pub(super) fn make(folder: &Path) -> Result<()> {
    const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    // The other authority signs nothing.
    for name in ["ca", "other"] {
        let subject = format!("-days 2 -subj /CN=netpol-verify-tests-{name}");
        openssl(
            folder,
            &format!("req -x509 {KEY} -keyout {name}.key -out {name}.crt {subject}"),
        )?;
    }
    openssl(
        folder,
        &format!("req {KEY} -keyout server.key -out server.csr -subj /CN=kube-apiserver"),
    )?;
    sign(
        folder,
        "server",
        &format!("subjectAltName=IP:{ADDRESS},IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"),
    )?;
    // The kind of key that kubeadm makes for its administrator.
    openssl(folder, "genrsa -traditional -out client.key 2048")?;
    openssl(
        folder,
        "req -new -key client.key -out client.csr -subj /O=system:masters/CN=certified",
    )?;
    sign(folder, "client", "extendedKeyUsage=clientAuth\n")?;
    openssl(
        folder,
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out accounts.key",
    )?;
    let mut tokens = String::new();
    for user in USERS {
        let groups = if user == "admin" {
            "system:masters"
        } else {
            "testers"
        };
        writeln!(tokens, "{},{user},{user},\"{groups}\"", token(folder, user))?;
    }
    fs::write(folder.join("tokens.csv"), tokens)?;
    fs::write(kubeconfig(folder), text(folder)?)?;
    Ok(())
}

fn sign(folder: &Path, name: &str, extensions: &str) -> Result<()> {
    fs::write(folder.join("extensions"), extensions)?;
    let request = format!("x509 -req -in {name}.csr -out {name}.crt -extfile extensions");
    openssl(
        folder,
        &format!("{request} -CA ca.crt -CAkey ca.key -CAcreateserial -days 2"),
    )
    .map(|_| ())
}

pub(super) fn kubeconfig(folder: &Path) -> PathBuf {
    folder.join("kubeconfig")
}

/// The folder's name is unlike every other's, and this is no secret: the server answers in its own namespace only.
fn token(folder: &Path, user: &str) -> String {
    let run = folder.file_name().unwrap_or_default().to_string_lossy();
    format!("{run}-{user}")
}

/// A context for each user, and others for what kubeconfigs may hold, well and badly.
fn text(folder: &Path) -> Result<String> {
    let (mut users, mut contexts) = (String::new(), String::new());
    let mut context = |name: &str, cluster: &str, user: &str| {
        writeln!(
            contexts,
            "- {{name: {name}, context: {{cluster: {cluster}, user: {user}, namespace: of-{name}}}}}"
        )
    };
    for user in USERS.into_iter().chain(["stranger"]) {
        writeln!(
            users,
            "- {{name: {user}, user: {{token: {}}}}}",
            token(folder, user)
        )?;
        context(user, "tests", user)?;
    }
    for cluster in ["distrusted", "etcd", "closed"] {
        context(cluster, cluster, "admin")?;
    }
    let [certificate, key] =
        ["client.crt", "client.key"].map(|file| openssl(folder, &format!("base64 -A -in {file}")));
    writeln!(
        users,
        "- {{name: certified, user: {{client-certificate-data: {}, client-key-data: {}}}}}",
        certificate?, key?
    )?;
    context("certified", "tests", "certified")?;
    let credential = format!(
        r#"{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {{"token": "{}"}}}}"#,
        token(folder, "admin")
    );
    for (name, script) in [
        ("plugin", format!("echo '{credential}'")),
        (
            "plugin-fails",
            "echo a-secret; echo no session >&2; exit 3".to_owned(),
        ),
    ] {
        let exec = json!({
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "sh",
            "args": ["-c", script],
            "interactiveMode": "Never",
        });
        writeln!(users, "- {{name: {name}, user: {{exec: {exec}}}}}")?;
        context(name, "tests", name)?;
    }
    Ok(format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: admin\n\
         clusters:\n\
         - {{name: tests, cluster: {{server: 'https://{ADDRESS}:6443', certificate-authority: ca.crt}}}}\n\
         - {{name: distrusted, cluster: {{server: 'https://{ADDRESS}:6443', certificate-authority: other.crt}}}}\n\
         - {{name: etcd, cluster: {{server: 'http://127.0.0.1:2379'}}}}\n\
         - {{name: closed, cluster: {{server: 'https://{ADDRESS}:1'}}}}\n\
         users:\n{users}contexts:\n{contexts}"
    ))
}

/// Runs openssl; its output.
fn openssl(folder: &Path, arguments: &str) -> Result<String> {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .context("running openssl")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "openssl {arguments}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}
