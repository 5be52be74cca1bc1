//! One try to reach an end by a real socket: a TCP handshake or an ICMP echo, and what came back.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::echo;
use crate::lab::Netns;

/// How long an answer is waited for: the way through the lab's kernel takes microseconds, and what is lost is sent again
/// within this time.
pub(super) const PATIENCE: Duration = Duration::from_millis(400);

/// How one end asks another.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// By a TCP handshake.
    Connect { from: Netns, to: SocketAddr },
    /// By an ICMP or ICMPv6 echo.
    Echo { from: Netns, to: IpAddr },
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The answer.
    Answered,
    /// A refusal, in words.
    Rejected(String),
    /// Nothing.
    Silent,
    /// It could not be sent, and why.
    Unable(String),
}

impl Way {
    /// Asks.
    pub(super) async fn ask(&self, patience: Duration) -> Reach {
        match self {
            Self::Connect { from, to } => match dial(from, *to, patience).await {
                Ok(_) => Reach::Answered,
                Err(reach) => reach,
            },
            Self::Echo { from, to } => echo::ask(from, *to, patience).await,
        }
    }

    /// What an answer is.
    pub(super) const fn proof(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "TCP handshake",
            Self::Echo { .. } => "echo reply",
        }
    }
}

/// Opens a TCP connection from inside a namespace.
pub(super) async fn dial(from: &Netns, to: SocketAddr, patience: Duration) -> Result<TcpStream, Reach> {
    let made = from.run(|| match to {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    });
    let socket = match made {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return Err(Reach::Unable(error.to_string())),
        Err(error) => return Err(Reach::Unable(error.to_string())),
    };
    match timeout(patience, socket.connect(to)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Reach::failed(&error)),
        Err(_) => Err(Reach::Silent),
    }
}

impl Reach {
    /// What the kernel says of a connection that did not come about.
    fn failed(error: &io::Error) -> Self {
        use io::ErrorKind::{
            ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, PermissionDenied,
            TimedOut,
        };
        match error.kind() {
            kind @ (ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable
            | PermissionDenied) => Self::Rejected(kind.to_string()),
            TimedOut => Self::Silent,
            _ => Self::Unable(error.to_string()),
        }
    }
}
