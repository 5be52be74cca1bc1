//! A namespace that is made, entered, asked and removed.
//!
//! A network namespace belongs to a thread. Every entry here happens on a thread of its own that ends right after, so no
//! worker of the runtime is ever left in a foreign namespace, and nothing forks a process with many threads.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    thread,
};

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
};

use super::NetnsError;
use crate::net::{NetnsCookie, netns_cookie_here};

/// Where named namespaces live, for us and for `ip netns`.
pub const NETNS_DIR: &str = "/run/netns";

/// A network namespace with a name under [`NETNS_DIR`]. A clone is another handle on the same one.
///
/// The handle keeps the namespace alive: after [`Netns::remove`] the kernel frees it when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Netns {
    name: Arc<str>,
    file: Arc<File>,
}

impl Netns {
    /// Makes a new namespace with that name.
    ///
    /// # Errors
    /// Without the rights, or when the name is taken.
    pub fn create(name: &str) -> Result<Self, NetnsError> {
        let failed = |step| {
            move |source: io::Error| NetnsError::Create {
                name: name.to_owned(),
                step,
                source,
            }
        };
        let path = path_of(name);
        share_directory().map_err(failed("make /run/netns a shared mount"))?;
        File::options()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|source| {
                if source.kind() == io::ErrorKind::AlreadyExists {
                    NetnsError::Exists {
                        name: name.to_owned(),
                    }
                } else {
                    failed("make its file")(source)
                }
            })?;
        let made = on_thread(name, || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let own = Some("/proc/thread-self/ns/net");
            mount(own, &path, Some("none"), MsFlags::MS_BIND, None::<&str>)
        })
        .and_then(|result| result.map_err(|errno| failed("unshare and mount it")(errno.into())))
        .and_then(|()| Self::open(name));
        if made.is_err() {
            let _ = umount2(&path, MntFlags::MNT_DETACH);
            let _ = fs::remove_file(&path);
        }
        made
    }

    /// A handle on the namespace of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(name: &str) -> Result<Self, NetnsError> {
        let open = || {
            File::open(path_of(name)).map_err(|source| NetnsError::Open {
                name: name.to_owned(),
                source,
            })
        };
        Ok(Self {
            name: name.into(),
            file: Arc::new(open()?),
        })
    }

    /// The names under [`NETNS_DIR`] that start with `prefix`, sorted.
    ///
    /// # Errors
    /// When the directory exists and cannot be read.
    pub fn list(prefix: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(NETNS_DIR) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            if let Ok(name) = entry?.file_name().into_string()
                && name.starts_with(prefix)
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Unmounts and unlinks the namespace of that name; one that is gone already is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(name: &str) -> Result<(), NetnsError> {
        let path = path_of(name);
        let failed = |source| NetnsError::Remove {
            name: name.to_owned(),
            source,
        };
        match umount2(&path, MntFlags::MNT_DETACH) {
            // A file that was never mounted: the maker was killed between the two steps.
            Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file, as `CNI_NETNS` and `ip netns` want it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        path_of(&self.name)
    }

    /// The open file of the namespace, for `setns` and netlink attributes.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Runs `work` on a thread of its own inside the namespace and waits for it.
    ///
    /// # Errors
    /// When the thread cannot enter, or `work` panics.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
        let file = &*self.file;
        on_thread(&self.name, move || {
            setns(file, CloneFlags::CLONE_NEWNET).map(|()| work())
        })?
        .map_err(|errno| NetnsError::Enter {
            name: self.name.to_string(),
            source: errno.into(),
        })
    }

    /// Starts a program inside; the child inherits the namespace.
    ///
    /// # Errors
    /// When it cannot be entered or the program cannot start.
    pub fn spawn(&self, mut command: Command) -> Result<Child, NetnsError> {
        let program = command.get_program().to_string_lossy().into_owned();
        self.run(move || command.spawn())?
            .map_err(|source| self.command_failed(program, source))
    }

    /// Runs a program inside to its end, with nothing on its standard input.
    ///
    /// # Errors
    /// When it cannot be entered or the program cannot start; its own failure is in the output.
    pub fn command(&self, command: Command) -> Result<Output, NetnsError> {
        self.command_with_input(command, &[])
    }

    /// Runs a program inside to its end, with `input` on its standard input.
    ///
    /// # Errors
    /// As [`Netns::command`].
    pub fn command_with_input(&self, mut command: Command, input: &[u8]) -> Result<Output, NetnsError> {
        let program = command.get_program().to_string_lossy().into_owned();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.spawn(command)?;
        let stdin = child.stdin.take();
        // Written beside the reading: a child that answers before it has read everything must not block both.
        thread::scope(|scope| {
            scope.spawn(move || stdin.map(|mut pipe| pipe.write_all(input)));
            child.wait_with_output()
        })
        .map_err(|source| self.command_failed(program, source))
    }

    /// A netlink handle whose socket lives inside; it may be used from anywhere, on the runtime it was made on.
    ///
    /// # Errors
    /// When called outside a tokio runtime, or the socket cannot be made.
    pub fn netlink(&self) -> Result<rtnetlink::Handle, NetnsError> {
        let failed = |source| NetnsError::Socket {
            name: self.name.to_string(),
            what: "netlink socket",
            source,
        };
        let runtime =
            tokio::runtime::Handle::try_current().map_err(|error| failed(io::Error::other(error)))?;
        let entered = runtime.clone();
        let (connection, handle, _) = self
            .run(move || {
                let _guard = entered.enter();
                rtnetlink::new_connection()
            })?
            .map_err(failed)?;
        // Ends by itself when the last handle is dropped.
        runtime.spawn(connection);
        Ok(handle)
    }

    /// The kernel's identity of the namespace, the one that records carry.
    ///
    /// # Errors
    /// Before Linux 5.14.
    pub fn cookie(&self) -> Result<NetnsCookie, NetnsError> {
        self.run(netns_cookie_here)?.map_err(|source| NetnsError::Socket {
            name: self.name.to_string(),
            what: "namespace cookie",
            source,
        })
    }

    fn command_failed(&self, program: String, source: io::Error) -> NetnsError {
        NetnsError::Command {
            name: self.name.to_string(),
            program,
            source,
        }
    }
}

fn path_of(name: &str) -> PathBuf {
    Path::new(NETNS_DIR).join(name)
}

/// Runs `work` on a new thread, which dies with whatever namespace it ended up in.
fn on_thread<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
    let failed = |why: String| NetnsError::Work {
        name: name.to_owned(),
        why,
    };
    thread::scope(|scope| {
        let started = thread::Builder::new()
            .name("netns".to_owned())
            .spawn_scoped(scope, work);
        started
            .map_err(|error| failed(error.to_string()))?
            .join()
            .map_err(|_| failed("it panicked".to_owned()))
    })
}

/// Makes [`NETNS_DIR`] a shared mount, as `ip netns add` does (iproute2 6.1, `ip/ipnetns.c`): namespaces mounted below it then
/// show up in other mount namespaces too. The lock is the one iproute2 takes, so that the directory is bound on itself once.
fn share_directory() -> io::Result<()> {
    fs::create_dir_all(NETNS_DIR)?;
    let directory = File::open(NETNS_DIR)?;
    directory.lock()?;
    let share = || {
        mount(
            None::<&str>,
            NETNS_DIR,
            None::<&str>,
            MsFlags::MS_SHARED | MsFlags::MS_REC,
            None::<&str>,
        )
    };
    match share() {
        // Not a mount point yet.
        Err(Errno::EINVAL) => {
            let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(NETNS_DIR), NETNS_DIR, Some("none"), bind, None::<&str>)?;
            Ok(share()?)
        }
        shared => Ok(shared?),
    }
}
