//! The runtime of commands that speak to a cluster.

use std::{io, time::Duration};

use tokio::signal::unix::{SignalKind, signal};

/// How long what is open may take when all is over: a blocking read somewhere must not keep the process.
const FAREWELL: Duration = Duration::from_secs(2);

/// Ends when somebody asks this process to end. It listens from the moment of this call, which must be made in a runtime: the
/// work that follows may block for a while before it first waits.
pub(super) fn told_to_end() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// A runtime of one thread, for the lab: the prober, the drain and the name server hand over without waking another processor,
/// which costs more than a packet's whole way.
pub(super) fn one_thread() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Runs a command's work to its end on two threads.
pub(super) fn run<T, E>(
    work: impl Future<Output = Result<T, E>>,
    refused: impl FnOnce(io::Error) -> E,
) -> Result<T, E> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(refused)?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(FAREWELL);
    done
}
