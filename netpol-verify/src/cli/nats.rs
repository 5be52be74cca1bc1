//! Where NATS is, as the command line and the environment say it.

use std::path::PathBuf;

use clap::Args;

use crate::bus::nats::{NatsAccess, Password, Role};

/// How to reach the bus.
#[derive(Args, Clone, Debug)]
pub(super) struct NatsOptions {
    /// NATS, as nats://host:port or tls://host:port; several, parted by commas.
    #[arg(long, env = "NETPOL_VERIFY_NATS", value_name = "URL")]
    pub(super) nats: String,
    /// The authority that signed the server's certificate (PEM). The certificate must be for `netpol-verify-nats`, whatever
    /// address the URL has.
    #[arg(long, env = "NETPOL_VERIFY_NATS_CA", value_name = "FILE")]
    nats_ca: Option<PathBuf>,
    /// The user.
    #[arg(long, env = "NETPOL_VERIFY_NATS_USER", value_name = "NAME")]
    nats_user: Option<String>,
    /// A file with the password, read anew for each connection.
    #[arg(long, env = "NETPOL_VERIFY_NATS_PASSWORD_FILE", value_name = "FILE")]
    nats_password_file: Option<PathBuf>,
}

impl NatsOptions {
    /// As the bus takes it.
    pub(super) fn access(&self, role: Role) -> NatsAccess {
        NatsAccess {
            url: self.nats.clone(),
            ca: self.nats_ca.clone(),
            user: self.nats_user.clone(),
            password: self
                .nats_password_file
                .clone()
                .map_or(Password::None, Password::File),
            role,
        }
    }
}
