//! BPF toolchains: finding one, installing Debian's, and one screen of help when there is none.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{command, packages};

/// The version of bpf-linker that the committed object is linked with.
const BPF_LINKER: &str = "0.13.0";
/// Debian's compiler and cargo; rustup's stay first on PATH.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const LLVM: &str = "/usr/lib/llvm-22";
/// The target of the object: little-endian BPF, as every machine in the support table.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// What compiles for BPF.
pub(crate) enum Compiler {
    /// Debian's `rustc-web` with its prebuilt `core` for BPF.
    Debian,
    /// rustup's nightly, which builds `core` itself.
    Nightly,
}

/// A compiler and a linker.
pub(crate) struct Toolchain {
    pub(crate) compiler: Compiler,
    pub(crate) linker: PathBuf,
}

impl Toolchain {
    /// Finds one, Debian's first: the committed object was made with it, so only it can be compared byte for byte.
    pub(crate) fn find() -> Result<Self> {
        match (compiler(), command::find("bpf-linker")) {
            (Some(compiler), Some(linker)) => Ok(Self { compiler, linker }),
            (compiler, linker) => bail!("{}", help(compiler.is_some(), linker.is_some())),
        }
    }

    /// The cargo to call, ready but for its arguments.
    pub(crate) fn cargo(&self) -> std::process::Command {
        match self.compiler {
            Compiler::Debian => {
                let mut cargo = command::program(DEBIAN_CARGO);
                // bpfel-unknown-none is a tier 3 target, its `core` is there; inline assembly for it is unstable.
                cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
            Compiler::Nightly => {
                let mut cargo = command::program("rustup");
                cargo.args(["run", "nightly", "cargo"]);
                cargo
            }
        }
    }

    /// Arguments only this compiler needs, after `build`.
    pub(crate) const fn arguments(&self) -> &'static [&'static str] {
        match self.compiler {
            Compiler::Debian => &[],
            Compiler::Nightly => &["-Z", "build-std=core"],
        }
    }

    /// Where its compiler keeps the sources of `core`, for taking the path out of the object.
    pub(crate) fn sysroot(&self) -> Result<PathBuf> {
        let mut rustc = match self.compiler {
            Compiler::Debian => command::program(DEBIAN_RUSTC),
            Compiler::Nightly => {
                let mut rustc = command::program("rustup");
                rustc.args(["run", "nightly", "rustc"]);
                rustc
            }
        };
        Ok(PathBuf::from(
            command::output(rustc.args(["--print", "sysroot"]))?.trim(),
        ))
    }

    /// The names that decide about the object's bytes: compiler and linker, one a line.
    pub(crate) fn describe(&self) -> Result<String> {
        let mut rustc = match self.compiler {
            Compiler::Debian => command::program(DEBIAN_RUSTC),
            Compiler::Nightly => {
                let mut rustc = command::program("rustup");
                rustc.args(["run", "nightly", "rustc"]);
                rustc
            }
        };
        let rustc = command::output(rustc.arg("-V"))?;
        let linker = command::output(command::program(&self.linker).arg("--version"))?;
        Ok(format!("{}\n{}\n", rustc.trim(), linker.trim()))
    }
}

/// Installs Debian's toolchain where it is missing and may be installed; takes about three minutes on two cores.
pub(crate) fn ensure() -> Result<()> {
    if Toolchain::find().is_ok() {
        println!("BPF toolchain: there.");
        return Ok(());
    }
    if compiler().is_none() {
        packages::ensure(&packages::BPF, "building the eBPF object")?;
    }
    if command::find("bpf-linker").is_none() {
        if !Path::new(LLVM).is_dir() {
            packages::ensure(&packages::BPF, "building bpf-linker")?;
        }
        println!("Installing bpf-linker {BPF_LINKER}; this takes some minutes.");
        let mut path = std::ffi::OsString::from(format!("{LLVM}/bin:"));
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command::run(command::cargo().env("PATH", path).env("LLVM_PREFIX", LLVM).args([
            "install",
            "bpf-linker",
            "--version",
            BPF_LINKER,
            "--no-default-features",
            "--features",
            "llvm-22",
        ]))?;
    }
    Toolchain::find()
        .map(|_| ())
        .context("the BPF toolchain was installed and still cannot be used")
}

fn compiler() -> Option<Compiler> {
    if has_bpf_core(Path::new(DEBIAN_RUSTC)) && Path::new(DEBIAN_CARGO).is_file() {
        return Some(Compiler::Debian);
    }
    let components = command::program("rustup")
        .args(["+nightly", "component", "list", "--installed"])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8_lossy(&components.stdout)
        .lines()
        .any(|line| line == "rust-src")
        .then_some(Compiler::Nightly)
}

/// Whether a compiler has a prebuilt `core` for the target.
fn has_bpf_core(rustc: &Path) -> bool {
    rustc.is_file()
        && command::output(command::program(rustc).args(["--print", "sysroot"])).is_ok_and(|sysroot| {
            Path::new(sysroot.trim())
                .join("lib/rustlib")
                .join(TARGET)
                .join("lib")
                .is_dir()
        })
}

/// One screen: what is there, what is missing, and the exact commands.
fn help(compiler: bool, linker: bool) -> String {
    let mark = |there: bool| if there { "found  " } else { "MISSING" };
    format!(
        "no BPF toolchain. (A plain `cargo build` needs none: the compiled object is committed.)\n\
         \n\
         {} a compiler for {TARGET}: Debian's rustc-web, or rustup's nightly with rust-src\n\
         {} bpf-linker, on PATH or in ~/.cargo/bin\n\
         \n\
         On Debian, as root (this one gives the committed bytes; `cargo xtask test` does it for you):\n\
         \x20 apt-get install -y --no-install-recommends {}\n\
         \x20 PATH={LLVM}/bin:$PATH LLVM_PREFIX={LLVM} cargo install bpf-linker --version {BPF_LINKER} \\\n\
         \x20     --no-default-features --features llvm-22\n\
         \n\
         Anywhere else:\n\
         \x20 rustup toolchain install nightly --component rust-src\n\
         \x20 cargo install bpf-linker --version {BPF_LINKER}\n",
        mark(compiler),
        mark(linker),
        packages::BPF.join(" ")
    )
}
