//! The way to the sensors of a cluster from wherever kubectl works: NATS through the tunnel, with the cluster's own Secret.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    api::{Cluster, SECRET},
    error::CertifyError,
    install::{HOME, SECRET_NAME},
    tunnel::Tunnel,
};
use crate::{
    bus::nats::{Nats, NatsAccess, NatsInbox, NatsSensors, Password, Role, Start, StreamLimits},
    flow::Patience,
    verifier::ClusterProber,
};

/// NATS's own port in its pod.
const NATS_PORT: u16 = 4222;
const NATS_LABELS: &str = "app.kubernetes.io/name=netpol-verify,app.kubernetes.io/component=nats";
/// How long a sensor may take to answer.
const ANSWER: Duration = Duration::from_secs(3);
/// How long the stream may take to be there.
const STREAM: Duration = Duration::from_secs(120);

/// The way to the bus inside the cluster.
pub(super) struct Reach {
    nats: Nats,
    // Closed when the run ends.
    _tunnel: Tunnel,
    _authority: tempfile::NamedTempFile,
}

impl Reach {
    /// Opens it.
    pub(super) async fn open(cluster: &Cluster) -> Result<Self, CertifyError> {
        let tunnel = Tunnel::open(cluster.client(), HOME, NATS_LABELS, NATS_PORT).await?;
        let secret = cluster.get(SECRET, Some(HOME), SECRET_NAME).await?;
        let field = |name: &str| {
            let encoded = secret
                .as_ref()
                .and_then(|secret| secret.data.pointer(&format!("/data/{name}")))
                .and_then(|value| serde_json::from_value::<k8s_openapi::ByteString>(value.clone()).ok());
            encoded.map(|bytes| bytes.0).ok_or_else(|| CertifyError::Tunnel {
                cause: format!(
                    "Secret {HOME}/{SECRET_NAME} has no key {name}; make it anew with `netpol-verify secrets`"
                ),
            })
        };
        let io = |source| CertifyError::Io {
            what: "keeping the authority's certificate",
            source,
        };
        let authority = tempfile::NamedTempFile::new().map_err(io)?;
        std::fs::write(authority.path(), field("ca.crt")?).map_err(io)?;
        let password = String::from_utf8_lossy(&field("verifier-password")?).into_owned();
        tracing::debug!(address = %tunnel.address(), "The tunnel to NATS is open.");
        let nats = Nats::connect(&NatsAccess {
            url: format!("tls://{}", tunnel.address()),
            ca: Some(PathBuf::from(authority.path())),
            user: Some("verifier".to_owned()),
            password: Password::Plain(password),
            role: Role::Verifier,
        })
        .await?;
        Ok(Self {
            nats,
            _tunnel: tunnel,
            _authority: authority,
        })
    }

    /// Asks sensors.
    pub(super) fn sensors(&self) -> NatsSensors {
        NatsSensors::new(self.nats.clone(), ANSWER)
    }

    /// Probes and listens, under a name of the run's own.
    pub(super) async fn prober(&self, run: &str) -> Result<ClusterProber<NatsSensors>, CertifyError> {
        let inbox = NatsInbox::open(self.nats.clone(), StreamLimits::default(), Start::Now);
        tokio::time::timeout(STREAM, inbox.attached())
            .await
            .map_err(|_| CertifyError::Tunnel {
                cause: format!("its stream could not be read within {} s", STREAM.as_secs()),
            })?;
        Ok(ClusterProber::new(
            Patience::default(),
            Some(&format!("certify-{run}")),
            Arc::new(self.sensors()),
            inbox,
        ))
    }
}
