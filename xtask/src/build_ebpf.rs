//! `cargo xtask build-ebpf`: the eBPF objects, the same bytes from whichever folder: the sensor's, and the lab's enforcer's.

use std::{ffi::OsString, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    command,
    toolchain::{TARGET, Toolchain},
};

/// The crate of the programs.
const CRATE: &str = "netpol-verify-ebpf";
/// What the sensor loads.
const SENSOR: Output = Output {
    binary: "netpol-verify-ebpf",
    committed: "netpol-verify/bpf/netpol-verify.bpf.o",
};
/// What the lab loads as an enforcer; it drops packets, so it is another object.
const LAB_ENFORCER: Output = Output {
    binary: "netpol-verify-lab-enforcer",
    committed: "netpol-verify/bpf/lab-enforcer.bpf.o",
};
/// Names the toolchain that made the committed objects.
const MADE_BY: &str = "netpol-verify/bpf/TOOLCHAIN";

/// An object: the binary that it is built as, and where it is committed.
struct Output {
    binary: &'static str,
    committed: &'static str,
}

/// Options of `build-ebpf`.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Compare with the committed objects instead of replacing them
    #[arg(long)]
    pub(crate) check: bool,
    /// Write the sensor's object here instead
    #[arg(long, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
    /// With the programs' own diagnostics (aya-log); such an object is never the committed one
    #[arg(long)]
    pub(crate) log: bool,
}

/// Builds, then compares or copies.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.log && (options.check || options.out.is_none()) {
        bail!("--log makes another object than the committed one: give it a place with --out PATH");
    }
    let toolchain = Toolchain::find()?;
    let folder = build(&toolchain, options.log)?;
    let root = command::workspace();
    let made_by = toolchain.describe()?;
    for output in [SENSOR, LAB_ENFORCER] {
        let built = folder.join(output.binary);
        let object = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
        refuse_private_paths(&object)?;
        if options.check {
            compare(output.committed, &object, &made_by)?;
        }
        if let Some(out) = &options.out {
            if output.binary == SENSOR.binary {
                fs::write(out, &object).with_context(|| format!("cannot write {}", out.display()))?;
                println!("{} bytes in {}", object.len(), out.display());
            }
        } else if !options.check {
            let committed = output.committed;
            fs::create_dir_all(root.join("netpol-verify/bpf"))?;
            fs::write(root.join(committed), &object).with_context(|| format!("cannot write {committed}"))?;
            fs::write(root.join(MADE_BY), &made_by).with_context(|| format!("cannot write {MADE_BY}"))?;
            println!(
                "{} bytes in {committed}; commit it together with the sources.",
                object.len()
            );
        }
    }
    Ok(())
}

/// Builds all; the folder that they are in.
fn build(toolchain: &Toolchain, log: bool) -> Result<PathBuf> {
    let root = command::workspace();
    let target = root.join("target/bpf");
    let mut flags: Vec<OsString> = Vec::new();
    let mut linker = OsString::from("-Clinker=");
    linker.push(&toolchain.linker);
    flags.push(linker);
    flags.extend(["-Clink-arg=--btf", "-Cdebuginfo=2"].map(OsString::from));
    for (folder, name) in prefixes(toolchain)? {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(folder);
        flag.push(format!("={name}"));
        flags.push(flag);
    }
    let mut cargo = toolchain.cargo();
    cargo
        .current_dir(root.join(CRATE))
        .args(["build", "--release", "--locked", "--bins", "--target", TARGET])
        .args(toolchain.arguments())
        .args(if log { &["--features", "log"][..] } else { &[] })
        // Unlike RUSTFLAGS, a space in a path does not end a flag.
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join(&OsString::from("\u{1f}")))
        .env("CARGO_TARGET_DIR", &target)
        // What the caller's shell or an outer cargo says is not for this build.
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO");
    command::run(&mut cargo)?;
    Ok(target.join(TARGET).join("release"))
}

/// Folders that differ from machine to machine, and what stands for them in the object.
fn prefixes(toolchain: &Toolchain) -> Result<Vec<(PathBuf, String)>> {
    let mut prefixes = vec![
        (command::workspace(), ".".to_owned()),
        (
            toolchain.sysroot()?.join("lib/rustlib/src/rust"),
            "rust".to_owned(),
        ),
    ];
    let Some(sources) = command::cargo_home().map(|home| home.join("registry/src")) else {
        bail!("neither CARGO_HOME nor HOME is set: cannot tell where cargo keeps its sources");
    };
    // One folder a registry, named after its host: the host must not get into the object either. The first build of a
    // machine makes it, so fetch first.
    command::run(toolchain.cargo().args(["fetch", "--locked", "--quiet"]))?;
    for entry in fs::read_dir(&sources).with_context(|| format!("cannot list {}", sources.display()))? {
        prefixes.push((entry?.path(), "registry".to_owned()));
    }
    Ok(prefixes)
}

/// An absolute path of this machine, or a registry's host, in the object would make it another one elsewhere.
fn refuse_private_paths(object: &[u8]) -> Result<()> {
    let mut private: Vec<Vec<u8>> = vec![b"/home/".to_vec(), b"/root/".to_vec()];
    private.push(command::workspace().into_os_string().into_encoded_bytes());
    if let Some(home) = command::cargo_home() {
        private.push(home.into_os_string().into_encoded_bytes());
        private.extend(
            fs::read_dir(command::cargo_home().unwrap_or_default().join("registry/src"))
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.file_name().into_encoded_bytes()),
        );
    }
    for text in private {
        if object.windows(text.len().max(1)).any(|window| window == text) {
            bail!(
                "the object contains {:?}: it would differ on another machine",
                String::from_utf8_lossy(&text)
            );
        }
    }
    Ok(())
}

/// Byte for byte where the same toolchain made both; otherwise it says that nothing can be compared.
fn compare(name: &str, object: &[u8], made_by: &str) -> Result<()> {
    let root = command::workspace();
    let committed = fs::read(root.join(name)).with_context(|| format!("cannot read {name}"))?;
    if committed == object {
        println!("{name} is what the sources give: {} bytes.", object.len());
        return Ok(());
    }
    let recorded = fs::read_to_string(root.join(MADE_BY)).unwrap_or_default();
    if recorded != made_by {
        println!(
            "SKIPPED: build-ebpf --check: {name} was made by\n{recorded}and this one by\n{made_by}so their \
             bytes cannot be compared. It does build."
        );
        return Ok(());
    }
    bail!(
        "{name} ({} bytes) is not what the sources give ({} bytes): run `cargo xtask build-ebpf` and commit the \
         result",
        committed.len(),
        object.len()
    )
}
