//! The runtime of commands that speak to a cluster.

use std::{io, time::Duration};

/// How long what is open may take when all is over: a blocking read somewhere must not keep the process.
const FAREWELL: Duration = Duration::from_secs(2);

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
