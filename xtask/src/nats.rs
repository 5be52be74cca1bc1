//! A NATS server for the tests, out of Debian's package, once.

use anyhow::Result;

use crate::{apiserver, command, packages};

/// Puts it where the tests look for it, unless the machine has one.
pub(crate) fn ensure() -> Result<()> {
    let (_, programs) = apiserver::folders()?;
    let server = programs.join("nats-server");
    if server.is_file() || command::find("nats-server").is_some() {
        println!("nats-server: there.");
        return Ok(());
    }
    packages::unpack("nats-server", "usr/sbin/nats-server", &server)
}
