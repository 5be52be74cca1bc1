//! Debian packages: which are missing, and installing them where that is allowed.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::command;

/// What the lab uses when it is there: the real CNI plugins, nft, ip.
pub(crate) const LAB: [&str; 4] = ["containernetworking-plugins", "iproute2", "kmod", "nftables"];

/// What tests run besides: the example enforcer, and `sysctl` in their own namespaces.
pub(crate) const TESTS: [&str; 2] = ["procps", "python3"];

/// What the BPF toolchain is made of on Debian. `bpf-linker` itself comes from crates.
pub(crate) const BPF: [&str; 8] = [
    "cargo-web",
    "libpolly-22-dev",
    "libstd-rust-web-dev-bpf",
    "libxml2-dev",
    "libzstd-dev",
    "llvm-22-dev",
    "rustc-web",
    "zlib1g-dev",
];

/// Installs what is missing of `packages`, and says what for; nothing is asked of the package manager when all is there.
pub(crate) fn ensure(packages: &[&str], purpose: &str) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|name| !is_installed(name))
        .collect();
    if missing.is_empty() {
        println!("Packages for {purpose}: all there.");
        return Ok(());
    }
    let by_hand = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if !command::is_root() {
        bail!(
            "missing for {purpose}: {}. As root: {by_hand}",
            missing.join(", ")
        );
    }
    if command::find("apt-get").is_none() {
        bail!(
            "missing for {purpose}: {}. This is no Debian; install what has these names there and try again",
            missing.join(", ")
        );
    }
    println!("Installing for {purpose}: {}", missing.join(", "));
    command::run(command::program("apt-get").args(["update", "-q"]))?;
    command::run(
        command::program("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "-q", "--no-install-recommends"])
            .args(missing),
    )
}

/// Takes one program out of a package without installing it: installing a server's package would start a service that listens
/// on the machine.
pub(crate) fn unpack(package: &str, program: &str, into: &Path) -> Result<()> {
    if command::find("apt-get").is_none() {
        bail!("no {}; put one on PATH, or there", into.display());
    }
    let download = into.with_file_name(format!(".{package}"));
    let _ = fs::remove_dir_all(&download);
    fs::create_dir_all(&download)?;
    command::run(command::program("apt-get").args(["update", "-q"]))?;
    command::run(
        command::program("apt-get")
            .current_dir(&download)
            .args(["download", "-q", package]),
    )?;
    for entry in fs::read_dir(&download)? {
        command::run(
            command::program("dpkg-deb")
                .arg("-x")
                .arg(entry?.path())
                .arg(&download),
        )?;
    }
    fs::copy(download.join(program), into)
        .with_context(|| format!("the package {package} has no {program}"))?;
    fs::remove_dir_all(&download)?;
    Ok(())
}

/// Whether a package is installed; `false` also where there is no dpkg.
fn is_installed(name: &str) -> bool {
    command::program("dpkg-query")
        .args(["-W", "-f=${db:Status-Status}", name])
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}
