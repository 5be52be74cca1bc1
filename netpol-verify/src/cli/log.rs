//! What is said on standard error besides errors.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts it, by `NETPOL_VERIFY_LOG` or by `--verbose`.
pub(super) fn start(verbose: bool) {
    let filter = EnvFilter::try_from_env("NETPOL_VERIFY_LOG").unwrap_or_else(|_| {
        EnvFilter::new(if verbose {
            "netpol_verify=debug"
        } else {
            // kube logs as an error what it returns as one, which is then said twice.
            // So does NATS's client what the bus says.
            "warn,kube_client=off,async_nats=off"
        })
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
