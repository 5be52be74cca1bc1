//! A NATS server for the tests, out of Debian's package, once.

use anyhow::Result;

use crate::{apiserver, packages};

/// Puts it where the tests look for it, unless the machine has one.
pub(crate) fn ensure() -> Result<()> {
    let programs = apiserver::folder()?.join("bin");
    packages::program("nats-server", "nats-server", "usr/sbin/nats-server", &programs)?;
    println!("nats-server: there.");
    Ok(())
}
