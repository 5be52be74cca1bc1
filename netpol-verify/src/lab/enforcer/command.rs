//! Running something inside a network namespace, without moving the rest of the program there.

use std::{
    fs::File,
    io::{self, Seek, Write},
    path::Path,
    process::{ExitStatus, Stdio},
    thread,
    time::Duration,
};

use nix::sched::{CloneFlags, setns};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
    sync::oneshot,
    time,
};

/// What of a command's standard error is kept.
const KEPT: u64 = 4096;
/// What of its standard output: a list of some thousand names.
const KEPT_OUTPUT: u64 = 1 << 20;

/// How a command ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Where running a command failed.
#[derive(Debug)]
pub(super) enum CommandError {
    Enter(io::Error),
    Start(io::Error),
    Late,
}

/// Runs `work` on a thread of its own that lives in the namespace. A namespace belongs to a thread, so a pooled
/// one would carry it into whatever runs there next.
pub(super) async fn within<T, F>(netns: &Path, work: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (answer, result) = oneshot::channel();
    let file = File::open(netns)?;
    thread::Builder::new()
        .name("npv-netns".to_owned())
        .spawn(move || {
            let done = setns(&file, CloneFlags::CLONE_NEWNET)
                .map_err(io::Error::from)
                .map(|()| work());
            // The receiver is gone only when the caller was cancelled, and then nobody wants the answer.
            let _ = answer.send(done);
        })?;
    result
        .await
        .map_err(|_| io::Error::other("the thread in the namespace ended early"))?
}

/// Runs a program in the namespace with `input` as its standard input; a child inherits the namespace of the
/// thread that starts it.
pub(super) async fn run(
    netns: &Path,
    program: &'static str,
    arguments: &'static [&'static str],
    input: &str,
    limit: Duration,
) -> Result<Ended, CommandError> {
    // A file, not a pipe: the program may end, or write, before it has read everything.
    let mut file = tempfile::tempfile().map_err(CommandError::Start)?;
    file.write_all(input.as_bytes())
        .and_then(|()| file.rewind())
        .map_err(CommandError::Start)?;
    let runtime = tokio::runtime::Handle::current();
    let mut child = within(netns, move || {
        let _context = runtime.enter();
        Command::new(program)
            .args(arguments)
            .stdin(file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    })
    .await
    .map_err(CommandError::Enter)?
    .map_err(CommandError::Start)?;

    let stdout = beginning(child.stdout.take(), KEPT_OUTPUT);
    let stderr = beginning(child.stderr.take(), KEPT);
    let all = async { tokio::join!(child.wait(), stdout, stderr) };
    let (status, stdout, stderr) = time::timeout(limit, all).await.map_err(|_| CommandError::Late)?;
    Ok(Ended {
        status: status.map_err(CommandError::Start)?,
        stdout,
        stderr,
    })
}

/// Reads all there is and keeps its beginning.
async fn beginning(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> String {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        // Past what is kept, keep reading: a full pipe would stop the program.
        let _ = (&mut pipe).take(limit).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&kept).into_owned()
}
