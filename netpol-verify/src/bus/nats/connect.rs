//! A connection to NATS, made again whenever it is lost, with a word about why it is not there.

use std::{
    future::ready,
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    Auth, AuthError, Client, ClientError, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr,
    ServerError, jetstream,
};
use tokio::sync::watch;

use super::{
    access::{NatsAccess, Password},
    backoff::{Repeats, wait},
    error::NatsError,
    tls::{self, Distrust},
};
use crate::causes::causes;

/// A server that is gone without a word is noticed after two or three of these.
const PING: Duration = Duration::from_secs(10);
/// How long the JetStream API and acknowledgements may take.
const API_TIMEOUT: Duration = Duration::from_secs(5);
/// Records of one batch take three quarters of it.
const USUAL_PAYLOAD: usize = 1024 * 1024;

/// How the connection is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether there is one.
    pub connected: bool,
    /// How often one was made.
    pub connections: u64,
    /// Why there is none, or what the server last complained of.
    pub trouble: Option<String>,
}

/// A connection to NATS. Clones share it.
#[derive(Clone)]
pub struct Nats {
    client: Client,
    link: watch::Receiver<Link>,
}

impl Nats {
    /// Connects. Where nobody answers, that goes on in the background for ever, and whatever is built on the result waits.
    ///
    /// # Errors
    /// What is given makes no sense, or the server refuses the user or cannot prove who it is. When either happens
    /// later, it is told as an error in the log and as [`Link::trouble`], and tried again.
    pub async fn connect(access: &NatsAccess) -> Result<Self, NatsError> {
        let servers = addresses(&access.url)?;
        let distrust = Distrust::default();
        let (sender, link) = watch::channel(Link::default());
        let options = options(access, &distrust, sender)?;
        let url = access.url.as_str();
        let client = match options.clone().connect(servers.as_slice()).await {
            Ok(client) => client,
            Err(error) if is_refusal(&error) => return Err(NatsError::Refused { url: url.to_owned() }),
            Err(error) if is_distrust(&error) => {
                let cause = distrust.lock().unwrap_or_else(PoisonError::into_inner).take();
                return Err(NatsError::Untrusted {
                    url: url.to_owned(),
                    cause: cause.unwrap_or_else(|| causes(&error)),
                });
            }
            Err(error) => {
                tracing::warn!(%url, error = %causes(&error), "NATS does not answer; trying again until it does.");
                options
                    .retry_on_initial_connect()
                    .connect(servers.as_slice())
                    .await
                    .map_err(|error| bad_address(url, &error))?
            }
        };
        Ok(Self { client, link })
    }

    /// How the connection is now.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link.borrow().clone()
    }

    /// Waits until it is there; how often one was made by then.
    pub async fn connected(&self) -> u64 {
        let mut link = self.link.clone();
        let connection = link
            .wait_for(|link| link.connected)
            .await
            .map(|link| link.connections);
        match connection {
            Ok(connection) => connection,
            // The client has ended, as it does with its runtime only.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until the connection that was made as the given one is no more.
    pub(super) async fn lost(&self, connection: u64) {
        let mut link = self.link.clone();
        if link
            .wait_for(|link| !link.connected || link.connections != connection)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn jetstream(&self) -> jetstream::Context {
        jetstream::ContextBuilder::new()
            .timeout(API_TIMEOUT)
            .ack_timeout(API_TIMEOUT)
            .build(self.client.clone())
    }
}

fn bad_address(url: &str, error: &dyn std::error::Error) -> NatsError {
    NatsError::Address {
        url: url.to_owned(),
        cause: causes(error),
    }
}

fn addresses(url: &str) -> Result<Vec<ServerAddr>, NatsError> {
    url.split(',')
        .map(|one| {
            one.trim()
                .parse()
                .map_err(|error: io::Error| bad_address(url, &error))
        })
        .collect()
}

fn options(
    access: &NatsAccess,
    distrust: &Distrust,
    sender: watch::Sender<Link>,
) -> Result<ConnectOptions, NatsError> {
    // Read once beforehand, so that a file that is missing from the start is an error here.
    password(&access.password)?;
    let (user, password_source) = (access.user.clone(), access.password.clone());
    let mut options = ConnectOptions::with_auth_callback(move |_| {
        let mut auth = Auth::new();
        auth.username.clone_from(&user);
        ready(
            password(&password_source)
                .map_err(AuthError::new)
                .map(|password| {
                    auth.password = password;
                    auth
                }),
        )
    })
    .name(access.role.name())
    .custom_inbox_prefix(access.role.inbox())
    .ping_interval(PING)
    .ignore_discovered_servers()
    .reconnect_delay_callback(|attempt| {
        if attempt <= 1 {
            Duration::ZERO
        } else {
            wait(attempt - 1)
        }
    });
    if let Some(authority) = &access.ca {
        options = options
            .tls_client_config(tls::config(authority, distrust)?)
            .require_tls(true);
    }
    let teller = Mutex::new(Teller {
        sender,
        distrust: distrust.clone(),
        said: Repeats::default(),
    });
    Ok(options.event_callback(move |event| {
        teller.lock().unwrap_or_else(PoisonError::into_inner).tell(&event);
        ready(())
    }))
}

fn password(source: &Password) -> Result<Option<String>, NatsError> {
    match source {
        Password::None => Ok(None),
        Password::Plain(password) => Ok(Some(password.clone())),
        Password::File(path) => std::fs::read_to_string(path)
            .map(|text| Some(text.trim().to_owned()))
            .map_err(|cause| NatsError::File {
                what: "the password",
                path: path.clone(),
                cause,
            }),
    }
}

fn is_refusal(error: &ConnectError) -> bool {
    matches!(
        error.kind(),
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication
    )
}

/// Whether a certificate was the reason; the library tells it as an error of input and output.
fn is_distrust(error: &ConnectError) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if cause.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        next = cause.source();
    }
    false
}

/// Tells what happens to the connection: in the log, and to whoever waits for it.
struct Teller {
    sender: watch::Sender<Link>,
    distrust: Distrust,
    said: Repeats,
}

impl Teller {
    fn tell(&mut self, event: &Event) {
        match event {
            Event::Connected => {
                self.said.forget();
                self.sender.send_modify(|link| {
                    link.connected = true;
                    link.connections += 1;
                    link.trouble = None;
                });
                tracing::info!("Connected to NATS.");
            }
            Event::Disconnected => {
                self.sender.send_modify(|link| link.connected = false);
                tracing::warn!("The connection to NATS is lost; trying again until it is back.");
            }
            // Connecting goes on for ever, so it is we who have ended it.
            Event::Closed => {
                self.sender.send_modify(|link| link.connected = false);
                tracing::debug!("The connection to NATS is closed.");
            }
            Event::ClientError(ClientError::Other(cause)) => {
                let distrust = self
                    .distrust
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                let cause = distrust.map_or_else(|| cause.clone(), |why| format!("{cause}: {why}"));
                self.trouble(cause);
            }
            Event::ServerError(ServerError::Other(cause)) => self.trouble(cause.clone()),
            Event::ClientError(_) | Event::ServerError(_) | Event::SlowConsumer(_) => {
                self.trouble(event.to_string());
            }
            Event::LameDuckMode | Event::Draining => tracing::info!(%event, "NATS is about to end."),
        }
    }

    fn trouble(&mut self, cause: String) {
        if self.said.is_news(&cause) {
            tracing::error!(%cause, "NATS: there is trouble; trying again.");
        }
        self.sender.send_modify(|link| link.trouble = Some(cause));
    }
}

/// Says so where a server takes less at once than a full batch needs.
pub(super) fn check_payload(client: &Client) -> usize {
    let most = client.max_payload();
    if most < USUAL_PAYLOAD {
        tracing::warn!(
            max_payload = most,
            "NATS takes smaller messages than a full batch of records needs, which are lost then; set its max_payload to 1MB."
        );
    }
    most
}
