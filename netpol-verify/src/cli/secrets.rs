//! `secrets`: what the parts of an installation share, made anew and printed as a manifest.

use std::process::ExitCode;

use clap::Args;

use super::{
    exit::{Exit, fail},
    stream::say,
};
use crate::{bus::nats::fresh_credentials, certify::secret};

/// Fresh credentials of NATS.
#[derive(Args, Clone, Debug)]
pub(super) struct SecretsOptions {
    /// The namespace that it is for.
    #[arg(long, short, default_value = "netpol-verify", value_name = "NAME")]
    namespace: String,
}

/// Prints a Secret for `kubectl apply -f -`.
pub(super) fn main(options: &SecretsOptions) -> ExitCode {
    let credentials = match fresh_credentials(jiff::Timestamp::now().as_second()) {
        Ok(credentials) => credentials,
        Err(error) => return fail(Exit::Environment, &error),
    };
    let manifest = secret(&options.namespace, credentials);
    match serde_json::to_string_pretty(&manifest) {
        Ok(text) => match say(&text) {
            Ok(()) => Exit::Good.into(),
            Err(error) => fail(Exit::Environment, &error),
        },
        Err(error) => fail(Exit::Environment, &error),
    }
}
