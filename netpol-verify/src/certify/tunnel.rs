//! A way to NATS inside the cluster from wherever kubectl works: a listener on this machine's loopback, each connection
//! carried by the API server's port forwarding.

use std::net::SocketAddr;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::{io::copy_bidirectional, net::TcpListener, task::JoinHandle};

use super::error::{CertifyError, causes};

/// A listening tunnel; dropping it closes it.
pub(super) struct Tunnel {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// Opens one to a port of a pod.
    pub(super) async fn open(
        client: Client,
        namespace: &str,
        pod: &str,
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
        pods.portforward(pod, &[port])
            .await
            .map_err(|error| CertifyError::Tunnel {
                cause: causes(&error),
            })?
            .abort();
        let pod = pod.to_owned();
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (pods, pod) = (pods.clone(), pod.clone());
                tokio::spawn(async move {
                    let mut forwarder = match pods.portforward(&pod, &[port]).await {
                        Ok(forwarder) => forwarder,
                        Err(error) => {
                            tracing::warn!(error = %causes(&error), "A connection to NATS was not forwarded.");
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

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}
