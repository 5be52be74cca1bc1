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
    let folder = std::env::var_os("NETPOL_VERIFY_TESTBED").unwrap_or_else(|| FOLDER.into());
    let folder = Path::new(&folder).join("bin");
    let find = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let (ours, others) = (folder.join(name), std::env::split_paths(OsStr::new(&path)));
        if ours.is_file() {
            // Root runs it, and anyone may make a folder in /tmp.
            return owned_by_us(&folder, &ours).then_some(ours);
        }
        others.map(|folder| folder.join(name)).find(|file| file.is_file())
    };
    let missing = |name: &str| {
        format!(
            "no {name} on PATH, nor one of ours in {}; `cargo xtask test` puts it there (it needs Go 1.24 or later)",
            folder.display()
        )
    };
    if find("openssl").is_none() {
        return Err("no openssl; install the package openssl".to_owned());
    }
    Ok(Programs {
        etcd: find("etcd").ok_or_else(|| missing("etcd"))?,
        apiserver: find("kube-apiserver").ok_or_else(|| missing("kube-apiserver"))?,
    })
}

/// Whether nobody but this user can have put the program there.
fn owned_by_us(folder: &Path, program: &Path) -> bool {
    let user = nix::unistd::geteuid().as_raw();
    folder.ancestors().take(2).chain([program]).all(|path| {
        fs::symlink_metadata(path).is_ok_and(|data| data.uid() == user && data.mode() & 0o022 == 0)
    })
}
