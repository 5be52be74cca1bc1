//! A Go toolchain that is new enough: the machine's, or one fetched as the module that Go itself publishes it as.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{command, packages};

/// What helm and flannel want; Kubernetes 1.34 is content with less.
pub(crate) const WANTED: (u32, u32) = (1, 26);
/// What is fetched where the machine has none.
const FETCHED: &str = "1.26.11";

/// The program `go`; one that is too old, as Debian 12's, is good for fetching one that is not.
pub(crate) fn ensure(folder: &Path) -> Result<PathBuf> {
    if let Some(go) = installed().find(|go| is_new_enough(&version(go))) {
        return Ok(go);
    }
    if installed().next().is_none() {
        packages::ensure(&["golang-go"], "fetching a newer Go")?;
    }
    let Some(old) = installed().next() else {
        bail!(
            "no Go toolchain: install Go {}.{} or later from https://go.dev/dl/",
            WANTED.0,
            WANTED.1
        );
    };
    println!("Fetching Go {FETCHED}: {} is too old.", version(&old).trim());
    fetch(&old, folder)
}

fn installed() -> impl Iterator<Item = PathBuf> {
    let usual = PathBuf::from("/usr/local/go/bin/go");
    command::find("go")
        .into_iter()
        .chain([usual])
        .filter(|go| go.is_file())
}

/// The toolchain as the module `golang.org/toolchain`, which Go 1.21 and later fetch by themselves. Older ones unpack it
/// without its executable bits.
fn fetch(old: &Path, folder: &Path) -> Result<PathBuf> {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("there is no Go {FETCHED} for {other} here; install one from https://go.dev/dl/"),
    };
    let mut download = command::program(old);
    download
        .args(["mod", "download", "-json"])
        .arg(format!("golang.org/toolchain@v0.0.1-go{FETCHED}.linux-{machine}"))
        .current_dir("/")
        .env("GOFLAGS", "")
        .env("GOMODCACHE", folder.join("go"));
    let found: Value = serde_json::from_str(&command::output(&mut download)?).context("go wrote no JSON")?;
    let root = found
        .get("Dir")
        .and_then(Value::as_str)
        .map(PathBuf::from)
        .context("go names no folder of the toolchain")?;
    let mut folders = vec![root.join("bin")];
    for tools in fs::read_dir(root.join("pkg/tool"))? {
        folders.push(tools?.path());
    }
    for folder in folders {
        for program in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            fs::set_permissions(program?.path(), fs::Permissions::from_mode(0o755))?;
        }
    }
    let go = root.join("bin/go");
    if !is_new_enough(&version(&go)) {
        bail!("{} does not run", go.display());
    }
    Ok(go)
}

/// `go1.26.8`, or nothing where the program does not run.
fn version(go: &Path) -> String {
    let said = command::program(go)
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local")
        .output();
    said.map_or_else(
        |_| String::new(),
        |said| String::from_utf8_lossy(&said.stdout).into_owned(),
    )
}

/// Whether `go1.26.8` is.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version
        .trim()
        .strip_prefix("go")
        .unwrap_or_default()
        .split(|other: char| !other.is_ascii_digit())
        .map_while(|number| number.parse::<u32>().ok());
    numbers
        .next()
        .zip(numbers.next())
        .is_some_and(|found| found >= WANTED)
}

#[cfg(test)]
mod tests {
    use super::{FETCHED, is_new_enough};

    #[test]
    fn versions_of_go_are_compared_as_numbers() {
        for (version, expected) in [
            ("go1.26", true),
            ("go1.26.8\n", true),
            ("go1.26rc1", true),
            ("go2.0", true),
            ("go1.24.9", false),
            ("go1.9", false),
            ("devel", false),
            ("", false),
        ] {
            assert_eq!(is_new_enough(version), expected, "{version}");
        }
        assert!(is_new_enough(&format!("go{FETCHED}")));
    }
}
