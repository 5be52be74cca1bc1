//! What a killed test run left of its servers: found by a lock that nobody holds any more.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use netpol_verify::lab::Netns;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The environment variable that says which server a process is of; children inherit it.
pub(crate) const TAG: &str = "NPV_TEST_APISERVER";
const FOLDERS: &str = "/run/netpol-verify-tests";
/// Held as long as the process that made the folder lives.
const LOCK: &str = "lock";

/// Makes a server's folder and locks it; what dead runs left goes first.
pub(crate) fn claim(name: &str) -> Result<(PathBuf, File)> {
    fs::create_dir_all(FOLDERS)?;
    let everyone = File::open(FOLDERS)?;
    everyone.lock()?;
    for entry in fs::read_dir(FOLDERS)? {
        let folder = entry?.path();
        let abandoned = File::open(folder.join(LOCK)).map_or(true, |lock| lock.try_lock().is_ok());
        if abandoned && let Some(name) = folder.file_name().and_then(|name| name.to_str()) {
            remove(name, &folder).with_context(|| format!("removing what is left of {name}"))?;
        }
    }
    let folder = Path::new(FOLDERS).join(name);
    fs::create_dir(&folder)?;
    let lock = File::create(folder.join(LOCK))?;
    lock.lock()?;
    Ok((folder, lock))
}

/// Ends what is left of a server's processes and removes its namespace and folder.
pub(crate) fn remove(name: &str, folder: &Path) -> Result<()> {
    for _ in 0..100 {
        let left = processes(name);
        if left.is_empty() {
            Netns::remove(name)?;
            // The test that it was of may be ending just now, in another process, and removes it as well.
            return match fs::remove_dir_all(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => Ok(removed?),
            };
        }
        for process in left {
            let _ = kill(process, Signal::SIGKILL);
        }
        thread::sleep(Duration::from_millis(20));
    }
    ensure!(processes(name).is_empty(), "processes of {name} do not end");
    Ok(())
}

/// The processes that carry the server's name in their environment.
fn processes(name: &str) -> Vec<Pid> {
    let wanted = format!("{TAG}={name}");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|number| {
            fs::read(format!("/proc/{number}/environ")).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|entry| entry == wanted.as_bytes())
            })
        })
        .map(Pid::from_raw)
        .collect()
}
