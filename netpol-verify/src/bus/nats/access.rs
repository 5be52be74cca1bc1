//! Where NATS is and who one is there.

use std::{fmt, path::PathBuf};

/// How to reach NATS.
#[derive(Clone, Debug)]
pub struct NatsAccess {
    /// `nats://host:port`, or several, parted by commas. With [`Self::ca`], every connection is TLS.
    pub url: String,
    /// The authority that signed the server's certificate, as a PEM file. The certificate must be for
    /// [`super::SERVER_NAME`], whatever the URL says: so an address will do, and nobody needs the cluster's DNS. Without
    /// it, `tls://` means the machine's authorities and the URL's name.
    pub ca: Option<PathBuf>,
    /// The user; `None` for a server that asks for none.
    pub user: Option<String>,
    /// The password.
    pub password: Password,
    /// What one is.
    pub role: Role,
}

/// A password, which is never printed.
#[derive(Clone, Default)]
pub enum Password {
    /// None.
    #[default]
    None,
    /// As it is.
    Plain(String),
    /// In a file, read anew for each connection, so that it can be replaced; blanks around it do not count.
    File(PathBuf),
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("None"),
            Self::Plain(_) => formatter.write_str("Plain(…)"),
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
        }
    }
}

/// What one is to the others. It parts the subjects of answers, so that a sensor need not be allowed to read those that
/// are for verifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Says what it sees.
    Sensor,
    /// Reads and asks.
    Verifier,
}

impl Role {
    /// How the connection is called in the server's lists.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sensor => "netpol-verify sensor",
            Self::Verifier => "netpol-verify verifier",
        }
    }

    /// Where answers to it go.
    pub(super) const fn inbox(self) -> &'static str {
        match self {
            Self::Sensor => "_INBOX.npv-sensor",
            Self::Verifier => "_INBOX.npv-verifier",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Password;

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(format!("{:?}", Password::Plain("secret".into())), "Plain(…)");
    }
}
