//! A real API server for the tests: etcd out of Debian's package, kube-apiserver built from its Go modules, both once.
//!
//! etcd's package is unpacked and not installed: installing it would start a service that listens on the machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{command, go, packages};

/// The version that is built.
const KUBERNETES: &str = "v1.34.2";
/// The same in `tests/src/apiserver/programs.rs`.
const FOLDER: &str = "/tmp/testbed";

/// The folder of programs that are built once, with `bin` in it; `NETPOL_VERIFY_TESTBED` names another.
pub(crate) fn folder() -> Result<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("NETPOL_VERIFY_TESTBED").unwrap_or_else(|| FOLDER.into()));
    let programs = folder.join("bin");
    fs::create_dir_all(&programs).with_context(|| format!("cannot make {}", programs.display()))?;
    Ok(folder)
}

/// Puts both programs there where they are missing.
pub(crate) fn ensure() -> Result<()> {
    let folder = folder()?;
    let programs = folder.join("bin");
    packages::ensure(&["openssl"], "the tests' API server")?;
    etcd(&programs)?;
    let server = programs.join("kube-apiserver");
    if version(&server).as_deref() == Some(KUBERNETES) {
        println!("kube-apiserver {KUBERNETES}: there.");
        return Ok(());
    }
    let go = go::ensure(&folder)?;
    println!("Building kube-apiserver {KUBERNETES}; this takes some minutes, once.");
    build(&go, &folder.join("k8s"), &server)
}

/// Out of its package, not installed.
pub(crate) fn etcd(programs: &Path) -> Result<()> {
    packages::program("etcd", "etcd-server", "usr/bin/etcd", programs)?;
    println!("etcd: there.");
    Ok(())
}

/// `v1.34.2`, when that is what the program says.
fn version(server: &Path) -> Option<String> {
    let said = command::program(server).arg("--version").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    Some(said.trim().strip_prefix("Kubernetes ")?.to_owned())
}

/// Kubernetes' own module replaces its parts by folders of its repository; as a dependency they are modules of their own.
fn build(go: &Path, folder: &Path, server: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let file = folder.join("go.mod");
    let module = go_mod(go)?;
    fs::write(&file, module).with_context(|| format!("cannot write {}", file.display()))?;
    let new = server.with_file_name(".kube-apiserver.new");
    let component = "-X k8s.io/component-base/version";
    let flags =
        format!("-s -w {component}.gitVersion={KUBERNETES} {component}.gitMajor=1 {component}.gitMinor=34");
    command::run(
        command::program("nice")
            .args(["-n", "10"])
            .arg(go)
            .args(["build", "-trimpath", "-ldflags", &flags, "-o"])
            .arg(&new)
            .arg("k8s.io/kubernetes/cmd/kube-apiserver")
            .current_dir(folder)
            // Another toolchain's.
            .env_remove("GOROOT")
            .envs([
                ("CGO_ENABLED", "0"),
                ("GOFLAGS", "-mod=mod"),
                ("GOTOOLCHAIN", "local"),
            ]),
    )?;
    // A build that was interrupted must not look like a server.
    fs::rename(&new, server).with_context(|| format!("cannot put {} in its place", server.display()))
}

fn go_mod(go: &Path) -> Result<String> {
    let mut download: Command = command::program(go);
    download
        .args(["mod", "download", "-json"])
        .arg(format!("k8s.io/kubernetes@{KUBERNETES}"))
        .current_dir("/")
        .env("GOFLAGS", "")
        .env_remove("GOROOT");
    let found: Value = serde_json::from_str(&command::output(&mut download)?).context("go wrote no JSON")?;
    let file = found
        .get("GoMod")
        .and_then(Value::as_str)
        .context("go names no GoMod")?;
    let theirs = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    Ok(module(&theirs))
}

/// A module that depends on Kubernetes and takes its parts from the registry.
fn module(theirs: &str) -> String {
    let parts = KUBERNETES.trim_start_matches("v1.");
    let replaced: Vec<String> = theirs
        .lines()
        .filter_map(|line| line.trim().split_once(" => ./staging/"))
        .map(|(name, _)| format!("\t{name} => {name} v0.{parts}\n"))
        .collect();
    format!(
        "module netpol-verify.invalid/apiserver\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes {KUBERNETES}\n\nreplace (\n{})\n",
        replaced.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::module;

    #[test]
    fn what_kubernetes_takes_from_its_own_folders_comes_from_the_registry() {
        let theirs =
            "require (\n\tk8s.io/api v0.0.0\n)\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n";
        assert!(module(theirs).ends_with("replace (\n\tk8s.io/api => k8s.io/api v0.34.2\n)\n"));
    }
}
