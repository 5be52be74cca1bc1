//! Where etcd and kube-apiserver are; `cargo xtask test` puts them there.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The folder of programs that `xtask` fills; `NETPOL_VERIFY_TESTBED` names another one than its default. The same in
/// `xtask/src/apiserver.rs`.
const FOLDER: &str = "/tmp/testbed";

/// The programs an API server is made of.
pub(super) struct Programs {
    pub(super) etcd: PathBuf,
    pub(super) apiserver: PathBuf,
}

/// Finds them, or says why not.
pub(super) fn find() -> Result<Programs, String> {
    find_one("openssl").map_err(|_| "no openssl; install the package openssl".to_owned())?;
    Ok(Programs {
        etcd: find_one("etcd")?,
        apiserver: find_one("kube-apiserver")?,
    })
}

/// Finds one program, ours or the machine's, or says why not.
pub(crate) fn find_one(name: &str) -> Result<PathBuf, String> {
    let folder = std::env::var_os("NETPOL_VERIFY_TESTBED").unwrap_or_else(|| FOLDER.into());
    let folder = Path::new(&folder).join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let (ours, others) = (folder.join(name), std::env::split_paths(OsStr::new(&path)));
    let found = if ours.is_file() {
        // Root runs it, and anyone may make a folder in /tmp.
        owned_by_us(&folder, &ours).then_some(ours)
    } else {
        others.map(|folder| folder.join(name)).find(|file| file.is_file())
    };
    found.ok_or_else(|| {
        format!(
            "no {name} on PATH, nor one of ours in {}; `cargo xtask test` puts it there",
            folder.display()
        )
    })
}

/// Whether nobody but this user can have put the program there.
fn owned_by_us(folder: &Path, program: &Path) -> bool {
    let user = nix::unistd::geteuid().as_raw();
    folder.ancestors().take(2).chain([program]).all(|path| {
        fs::symlink_metadata(path).is_ok_and(|data| data.uid() == user && data.mode() & 0o022 == 0)
    })
}
