//! One run at a time: a Lease in the cluster, renewed while the run lives.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    api::{Cluster, LEASE},
    error::CertifyError,
};

const NAME: &str = "netpol-verify-certify";
/// How long a run is waited for that shows no sign of life, in seconds.
const SECONDS: i64 = 30;
const RENEW: Duration = Duration::from_secs(8);

/// A lease that is held. Dropping it stops renewing; [`Self::release`] gives it back at once.
pub(super) struct Lease {
    cluster: Cluster,
    namespace: String,
    holder: String,
    lost: watch::Receiver<Option<String>>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Takes it, from nobody or from a run that is dead.
    pub(super) async fn acquire(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
    ) -> Result<Self, CertifyError> {
        let fresh = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME, "namespace": namespace},
            "spec": spec(name, now(), now()),
        });
        if !cluster.create(LEASE, &fresh).await? {
            let Some(mut found) = cluster.get(LEASE, Some(namespace), NAME).await? else {
                return Err(CertifyError::LeaseLost {
                    cause: "it came and went".to_owned(),
                });
            };
            // Ours: the answer to making it was lost.
            if holder(&found) != Some(name)
                && let Some(held) = held(&found)
            {
                return Err(held);
            }
            if let Some(slot) = found.data.get_mut("spec") {
                *slot = spec(name, now(), now());
            }
            // Whoever is first wins.
            if !cluster.replace(LEASE, &found).await? {
                return Err(CertifyError::LeaseLost {
                    cause: "another run was faster".to_owned(),
                });
            }
        }
        let (sender, lost) = watch::channel(None);
        let task = tokio::spawn(renew(
            cluster.clone(),
            namespace.to_owned(),
            name.to_owned(),
            sender,
        ));
        Ok(Self {
            cluster: cluster.clone(),
            namespace: namespace.to_owned(),
            holder: name.to_owned(),
            lost,
            task,
        })
    }

    /// Whether it is still ours.
    pub(super) fn check(&self) -> Result<(), CertifyError> {
        match &*self.lost.borrow() {
            None => Ok(()),
            Some(cause) => Err(CertifyError::LeaseLost { cause: cause.clone() }),
        }
    }

    /// Gives it back.
    pub(super) async fn release(self) -> Result<(), CertifyError> {
        self.task.abort();
        let found = self.cluster.get(LEASE, Some(&self.namespace), NAME).await?;
        match found {
            Some(lease) if holder(&lease) == Some(&self.holder) => self.cluster.delete(&lease).await,
            _ => Ok(()),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Renews until it cannot: then somebody else holds it.
async fn renew(
    cluster: Cluster,
    namespace: String,
    holder_name: String,
    lost: watch::Sender<Option<String>>,
) {
    loop {
        tokio::time::sleep(RENEW).await;
        let found = match cluster.get(LEASE, Some(&namespace), NAME).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "The lease could not be renewed; trying again.");
                continue;
            }
        };
        let Some(mut lease) = found.filter(|lease| holder(lease) == Some(&holder_name)) else {
            let _ = lost.send(Some("another run holds it".to_owned()));
            return;
        };
        if let Some(slot) = lease.data.pointer_mut("/spec/renewTime") {
            *slot = json!(now());
        }
        match cluster.replace(LEASE, &lease).await {
            Ok(true) => {}
            Ok(false) => {
                let _ = lost.send(Some("it changed while it was renewed".to_owned()));
                return;
            }
            Err(error) => tracing::warn!(%error, "The lease could not be renewed; trying again."),
        }
    }
}

fn spec(holder: &str, acquired: String, renewed: String) -> Value {
    json!({
        "holderIdentity": holder,
        "leaseDurationSeconds": SECONDS,
        "acquireTime": acquired,
        "renewTime": renewed,
    })
}

fn now() -> String {
    // MicroTime: six digits, always.
    format!("{:.6}", Timestamp::now())
}

fn holder(lease: &DynamicObject) -> Option<&str> {
    lease.data.pointer("/spec/holderIdentity")?.as_str()
}

/// Who holds it now, as an error.
pub(super) async fn holder_now(
    cluster: &Cluster,
    namespace: &str,
) -> Result<Option<CertifyError>, CertifyError> {
    let found = cluster.get(LEASE, Some(namespace), NAME).await?;
    Ok(found.as_ref().and_then(held))
}

/// The error that tells who holds it, unless they are dead or it is free.
fn held(lease: &DynamicObject) -> Option<CertifyError> {
    let text = |field: &str| lease.data.pointer(field).and_then(Value::as_str);
    let holder = text("/spec/holderIdentity").filter(|holder| !holder.is_empty())?;
    let seconds = lease
        .data
        .pointer("/spec/leaseDurationSeconds")
        .and_then(Value::as_i64)
        .unwrap_or(SECONDS);
    let renewed: Timestamp = text("/spec/renewTime")?.parse().ok()?;
    let age = Timestamp::now().duration_since(renewed).as_secs();
    // A clock that is behind theirs must not let two runs in.
    (age < seconds).then(|| CertifyError::Held {
        holder: holder.to_owned(),
        since: text("/spec/acquireTime").unwrap_or("some time ago").to_owned(),
        seconds,
    })
}
