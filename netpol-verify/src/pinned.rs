//! Files that code determines: committed, compared by a test, and rewritten by `cargo xtask generate`.

use std::path::Path;

/// Compares with a committed file, or rewrites it when the developers' door asks for that.
pub(crate) fn pinned(file: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("NETPOL_VERIFY_GENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == actual,
        "{file} differs from what the code gives now; if that is meant, run `cargo xtask generate`.\n\
         --- the code gives\n{actual}"
    );
}
