//! A way to NATS inside the cluster from wherever kubectl works: a listener on this machine's loopback, each connection
//! carried by the API server's port forwarding.

use std::net::SocketAddr;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{ListParams, Portforwarder},
};
use tokio::{io::copy_bidirectional, net::TcpListener, task::JoinHandle};

use super::error::CertifyError;
use crate::causes::causes;

/// A listening tunnel; dropping it closes it.
pub(super) struct Tunnel {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// Opens one to a port of the pods with these labels: to whichever of them is ready when a connection is made.
    pub(super) async fn open(
        client: Client,
        namespace: &str,
        labels: &'static str,
        port: u16,
    ) -> Result<Self, CertifyError> {
        let listen = |source| CertifyError::Io {
            what: "listening on 127.0.0.1",
            source,
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let pods: Api<Pod> = Api::namespaced(client, namespace);
        // Once by hand, so that what does not work is told at once and by its name.
        forward(&pods, labels, port)
            .await
            .map_err(|cause| CertifyError::Tunnel { cause })?
            .abort();
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let pods = pods.clone();
                tokio::spawn(async move {
                    let mut forwarder = match forward(&pods, labels, port).await {
                        Ok(forwarder) => forwarder,
                        Err(error) => {
                            tracing::warn!(%error, "A connection to NATS was not forwarded.");
                            return;
                        }
                    };
                    if let Some(mut far) = forwarder.take_stream(port) {
                        // However it ends, the client sees it and connects again.
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                    forwarder.abort();
                });
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn forward(pods: &Api<Pod>, labels: &str, port: u16) -> Result<Portforwarder, String> {
    let found = pods
        .list(&ListParams::default().labels(labels))
        .await
        .map_err(|error| causes(&error))?;
    let is_ready = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        pod.metadata.deletion_timestamp.is_none()
            && conditions
                .is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
    };
    let ready = found.items.into_iter().find(is_ready);
    let name = ready
        .and_then(|pod| pod.metadata.name)
        .ok_or_else(|| format!("no pod with the labels {labels} is ready"))?;
    pods.portforward(&name, &[port])
        .await
        .map_err(|error| causes(&error))
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}
