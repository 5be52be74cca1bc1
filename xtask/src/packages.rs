//! Debian packages: which are missing, and installing them where that is allowed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::command;

/// What the lab uses when it is there: the real CNI plugins, nft, iptables with ipset, ip.
pub(crate) const LAB: [&str; 6] = [
    "containernetworking-plugins",
    "iproute2",
    "ipset",
    "iptables",
    "kmod",
    "nftables",
];

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

/// What a Kubernetes on one machine is made of besides the programs that are built.
pub(crate) const CLUSTER: [&str; 18] = [
    "busybox-static",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "curl",
    "ethtool",
    "gcc",
    "iproute2",
    "ipset",
    "iptables",
    "jq",
    "kmod",
    "libc6-dev",
    "nftables",
    "openssl",
    "python3",
    "runc",
    "socat",
];

/// A program, where it is: on PATH, in `folder`, or unpacked into `folder` out of its package. Not installed: a package of
/// a server starts it.
pub(crate) fn program(name: &str, package: &str, inside: &str, folder: &Path) -> Result<PathBuf> {
    let unpacked = folder.join(name);
    let usual = Path::new("/").join(inside);
    if let Some(there) = [Some(unpacked.clone()), Some(usual), command::find(name)]
        .into_iter()
        .flatten()
        .find(|file| file.is_file())
    {
        return Ok(there);
    }
    if command::find("apt-get").is_none() {
        bail!("no {name}; put one on PATH, or into {}", folder.display());
    }
    println!(
        "Unpacking {name} out of Debian's package {package}, into {}.",
        folder.display()
    );
    let download = folder.join(format!(".{name}"));
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
    fs::copy(download.join(inside), &unpacked)
        .with_context(|| format!("the package {package} has no {inside}"))?;
    fs::remove_dir_all(&download)?;
    Ok(unpacked)
}

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

/// Whether a package is installed; `false` also where there is no dpkg.
fn is_installed(name: &str) -> bool {
    command::program("dpkg-query")
        .args(["-W", "-f=${db:Status-Status}", name])
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}
