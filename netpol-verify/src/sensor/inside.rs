//! Doing something inside a network namespace: on a thread of its own, which ends with it.

use std::{
    fs::File,
    io,
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use nix::sched::{CloneFlags, setns};

use crate::net::Ifindex;

/// A network namespace by a path that names it: `/run/netns/NAME` or `/proc/PID/ns/net`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetnsPath(pub PathBuf);

/// A step inside a namespace failed.
#[derive(Debug, thiserror::Error)]
pub enum InsideError {
    /// The namespace is not there (any more) or may not be opened.
    #[error(
        "opening the network namespace {netns}: {source}; entering another process's needs CAP_SYS_PTRACE"
    )]
    Open {
        /// Its path.
        netns: String,
        /// Why not.
        source: io::Error,
    },
    /// It may not be entered.
    #[error("entering the network namespace {netns}: {source}; this needs CAP_SYS_ADMIN")]
    Enter {
        /// Its path.
        netns: String,
        /// Why not.
        source: nix::Error,
    },
    /// The thread could not be started or did not come back.
    #[error("the thread for the network namespace {netns} {what}")]
    Thread {
        /// The namespace's path.
        netns: String,
        /// What happened.
        what: &'static str,
    },
}

impl NetnsPath {
    /// The last part of the path: the name under `/run/netns`.
    #[must_use]
    pub fn name(&self) -> String {
        self.0
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

impl<P: AsRef<Path>> From<P> for NetnsPath {
    fn from(path: P) -> Self {
        Self(path.as_ref().to_path_buf())
    }
}

/// A network namespace that is held open: it stays, and stays the same one, whatever becomes of the path it was opened by.
#[derive(Clone, Debug)]
pub struct OpenNetns {
    path: NetnsPath,
    file: Arc<File>,
}

impl OpenNetns {
    /// Opens it.
    ///
    /// # Errors
    /// It is not there or may not be opened.
    pub fn open(path: &NetnsPath) -> Result<Self, InsideError> {
        let file = File::open(&path.0).map_err(|source| InsideError::Open {
            netns: path.0.display().to_string(),
            source,
        })?;
        Ok(Self {
            path: path.clone(),
            file: Arc::new(file),
        })
    }

    /// The path it was opened by; by now it may be another's, or nobody's.
    #[must_use]
    pub const fn path(&self) -> &NetnsPath {
        &self.path
    }

    /// Its inode, which is its own as long as it is held open.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub(super) fn inode(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.ino())
    }

    /// Runs `work` on a new thread that has entered the namespace, and waits for it. The thread ends afterwards: no other
    /// code ever runs in the wrong namespace.
    ///
    /// # Errors
    /// The namespace cannot be entered, or the work panicked.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, InsideError> {
        let name = || self.path.0.display().to_string();
        thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name("netns".to_owned())
                .spawn_scoped(scope, || {
                    setns(&self.file, CloneFlags::CLONE_NEWNET).map(|()| work())
                });
            let thread = thread.map_err(|_| InsideError::Thread {
                netns: name(),
                what: "could not be started",
            })?;
            thread
                .join()
                .map_err(|_| InsideError::Thread {
                    netns: name(),
                    what: "panicked",
                })?
                .map_err(|source| InsideError::Enter {
                    netns: name(),
                    source,
                })
        })
    }
}

/// Runs `work` inside the namespace that a path names now; see [`OpenNetns::enter`].
///
/// # Errors
/// The namespace cannot be opened or entered, or the work panicked.
pub fn inside<T: Send>(netns: &NetnsPath, work: impl FnOnce() -> T + Send) -> Result<T, InsideError> {
    OpenNetns::open(netns)?.enter(work)
}

/// An interface of the calling thread's network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number.
    pub ifindex: Ifindex,
    /// Its name.
    pub name: String,
    /// Its addresses, link-local ones left out.
    pub addresses: Vec<IpAddr>,
}

/// The interfaces of the calling thread's namespace, loopback left out.
///
/// # Errors
/// The kernel does not tell.
pub(super) fn interfaces_here() -> io::Result<Vec<Interface>> {
    let mut interfaces: Vec<Interface> = nix::net::if_::if_nameindex()?
        .iter()
        .filter(|entry| entry.name().to_bytes() != b"lo")
        .map(|entry| Interface {
            ifindex: Ifindex(entry.index()),
            name: entry.name().to_string_lossy().into_owned(),
            addresses: Vec::new(),
        })
        .collect();
    for entry in nix::ifaddrs::getifaddrs()? {
        let Some(address) = entry.address else { continue };
        let address = if let Some(four) = address.as_sockaddr_in() {
            IpAddr::V4(four.ip())
        } else if let Some(six) = address.as_sockaddr_in6() {
            IpAddr::V6(six.ip())
        } else {
            continue;
        };
        let link_local = matches!(address, IpAddr::V6(six) if six.is_unicast_link_local());
        if let Some(interface) = interfaces.iter_mut().find(|i| i.name == entry.interface_name)
            && !link_local
        {
            interface.addresses.push(address);
        }
    }
    Ok(interfaces)
}
