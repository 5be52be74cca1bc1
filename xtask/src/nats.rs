//! A NATS server for the tests and for its image, out of Debian's package, once.

use std::path::PathBuf;

use anyhow::Result;

use crate::{apiserver, packages};

/// The machine's, or one that is put where the tests look for it.
pub(crate) fn ensure() -> Result<PathBuf> {
    let programs = apiserver::folder()?.join("bin");
    let server = packages::program("nats-server", "nats-server", "usr/sbin/nats-server", &programs)?;
    println!("nats-server: there.");
    Ok(server)
}
