//! `cargo xtask image`: netpol-verify's image and one of NATS, from what cargo and Debian give.
//!
//! In each lies the program and the shared libraries it asks for, at their places, the loader among them: no distribution,
//! no shell, and the same binary that the tests ran. A static one would need a second C library and its compiler.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{command, nats, oci::Image};

/// Options of `image`.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Write netpol-verify's archive here; that of NATS, nats.tar, goes beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Take this binary instead of building one
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    /// Write netpol-verify's files into this folder, and no archive: for Containerfile
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    pub(crate) folder: Option<PathBuf>,
}

/// Makes the archives and says where they are.
pub(crate) fn run(options: &Options) -> Result<Vec<PathBuf>> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build()?,
    };
    let files = files(&binary, "netpol-verify")?;
    if let Some(folder) = &options.folder {
        unfold(&files, folder)?;
        return Ok(Vec::new());
    }
    let ours = options
        .out
        .clone()
        .unwrap_or_else(|| folder().join("netpol-verify.tar"));
    let beside = ours
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(beside).with_context(|| format!("cannot make {}", beside.display()))?;
    Image {
        name: "localhost/netpol-verify:dev",
        entrypoint: "/netpol-verify",
        files,
    }
    .write(&ours)?;
    let bus = beside.join("nats.tar");
    let server = nats::ensure()?;
    Image {
        name: "localhost/nats:dev",
        entrypoint: "/nats-server",
        files: self::files(&server, "nats-server")?,
    }
    .write(&bus)?;
    Ok(vec![ours, bus])
}

/// Where archives go unless they are sent elsewhere.
pub(crate) fn folder() -> PathBuf {
    command::target().join("images")
}

fn build() -> Result<PathBuf> {
    command::run(command::cargo().args(["build", "--release", "--locked", "--package", "netpol-verify"]))?;
    Ok(command::target().join("release/netpol-verify"))
}

/// The program by its new name, and the libraries it asks for.
fn files(program: &Path, name: &str) -> Result<BTreeMap<String, Vec<u8>>> {
    let read = |file: &Path| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
    let mut files = BTreeMap::from([(name.to_owned(), read(program)?)]);
    let said = command::program("ldd")
        .arg(program)
        .output()
        .context("cannot start ldd")?;
    let said = [said.stdout, said.stderr].concat();
    for library in libraries(&String::from_utf8_lossy(&said))? {
        files.insert(
            library.trim_start_matches('/').to_owned(),
            read(Path::new(&library))?,
        );
    }
    Ok(files)
}

/// The files of which `ldd` speaks; a static program has none.
fn libraries(ldd: &str) -> Result<Vec<String>> {
    if ldd.contains("not a dynamic executable") || ldd.contains("statically linked") {
        return Ok(Vec::new());
    }
    if let Some(missing) = ldd.lines().find(|line| line.contains("not found")) {
        bail!("a library is missing: {}", missing.trim());
    }
    let found: Vec<String> = ldd
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(str::to_owned)
        .collect();
    if found.is_empty() {
        bail!("ldd names no library: {}", ldd.trim());
    }
    Ok(found)
}

fn unfold(files: &BTreeMap<String, Vec<u8>>, folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for (file, content) in files {
        let path = folder.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    println!("{} files in {}.", files.len(), folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::libraries;

    #[test]
    fn what_ldd_says_becomes_a_list_of_files() {
        let dynamic = "\tlinux-vdso.so.1 (0x0001)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x0002)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x0003)\n";
        assert_eq!(
            libraries(dynamic).unwrap(),
            ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]
        );
        assert!(libraries("\tnot a dynamic executable\n").unwrap().is_empty());
        assert!(libraries("\tstatically linked\n").unwrap().is_empty());
        assert!(libraries("\tlibz.so.1 => not found\n").is_err());
        assert!(libraries("").is_err());
    }
}
