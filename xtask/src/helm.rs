//! helm, built once from its Go module.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{apiserver, command, go};

const MODULE: &str = "helm.sh/helm/v4";
const VERSION: &str = "v4.3.2";

/// The program; another version on PATH is left alone, because what it renders may differ.
pub(crate) fn ensure() -> Result<PathBuf> {
    let folder = apiserver::folder()?;
    let helm = folder.join("bin/helm");
    if version(&helm).as_deref() == Some(VERSION) {
        return Ok(helm);
    }
    let go = go::ensure(&folder)?;
    println!("Building helm {VERSION}; this takes some minutes, once.");
    // A build that is interrupted must not look like a program.
    let new = folder.join(".helm");
    command::run(
        command::program("nice")
            .args(["-n", "10"])
            .arg(go)
            .args(["install", "-trimpath", "-ldflags"])
            .arg(format!("-s -w -X {MODULE}/internal/version.version={VERSION}"))
            .arg(format!("{MODULE}/cmd/helm@{VERSION}"))
            .current_dir("/")
            // Another toolchain's.
            .env_remove("GOROOT")
            .envs([("CGO_ENABLED", "0"), ("GOFLAGS", ""), ("GOTOOLCHAIN", "local")])
            .env("GOBIN", &new),
    )?;
    fs::rename(new.join("helm"), &helm)
        .with_context(|| format!("cannot put {} in its place", helm.display()))?;
    let _ = fs::remove_dir(new);
    Ok(helm)
}

/// helm, with nothing of the user's: neither their plugins nor their repositories.
pub(crate) fn program() -> Result<Command> {
    let mut helm = command::program(ensure()?);
    helm.env("HELM_NO_PLUGINS", "1");
    for place in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        helm.env(place, apiserver::folder()?.join("helm"));
    }
    Ok(helm)
}

fn version(helm: &PathBuf) -> Option<String> {
    let said = command::program(helm)
        .args(["version", "--template", "{{.Version}}"])
        .output()
        .ok()?;
    Some(String::from_utf8(said.stdout).ok()?.trim().to_owned())
}
