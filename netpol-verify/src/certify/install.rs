//! What certifying needs in the cluster: sensors and NATS. Installed where they are not, and then removed again.

use std::time::Duration;

use kube::{ResourceExt as _, api::DynamicObject};
use serde_json::{Value, json};

use super::{
    api::{Cluster, DAEMON_SET, DEPLOYMENT, NAMESPACE, POD, SECRET},
    error::CertifyError,
};
use crate::{
    bus::nats::{Credentials, fresh_credentials},
    cluster::document,
};

/// The chart, rendered; `cargo xtask chart` writes it.
const MANIFESTS: &str = include_str!("../../deploy/install.yaml");
/// Where everything lives.
pub(super) const HOME: &str = "netpol-verify";
/// The Secret of NATS.
pub(super) const SECRET_NAME: &str = "netpol-verify-nats";
pub(super) const SENSOR: &str = "netpol-verify-sensor";
pub(super) const NATS: &str = "netpol-verify-nats";
const VERIFIER: &str = "netpol-verify-verifier";
/// Marks what a run has installed for itself.
const MARK: &str = "netpol-verify.io/installed-for";
/// Images may have to be pulled.
const PATIENCE: Duration = Duration::from_secs(180);

/// Which images, where the manifests' own are not meant.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// Of the sensors and of the pods that are probed.
    pub ours: Option<String>,
    /// Of NATS.
    pub nats: Option<String>,
    /// When they are pulled: `Never` where they were loaded by hand.
    pub pull_policy: Option<String>,
}

/// An installation.
#[derive(Clone, Debug)]
pub(super) struct Installed {
    /// The sensors' image, for pods that are probed.
    pub(super) image: String,
    /// When it is pulled.
    pub(super) pull_policy: String,
}

/// The Secret that sensors, verifiers and NATS share.
#[must_use]
pub fn secret(namespace: &str, credentials: Credentials) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": SECRET_NAME,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "netpol-verify", "app.kubernetes.io/part-of": "netpol-verify"},
        },
        "stringData": {
            "ca.crt": credentials.ca,
            "tls.crt": credentials.cert,
            "tls.key": credentials.key,
            "sensor-password": credentials.sensor_password,
            "verifier-password": credentials.verifier_password,
        },
    })
}

/// Makes our namespace where it is not, marked as this run's; the lease needs it first.
pub(super) async fn ensure_home(cluster: &Cluster, run: &str) -> Result<(), CertifyError> {
    let mut namespace = home_manifest()?;
    if let Some(metadata) = namespace.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("annotations".to_owned(), json!({MARK: run}));
    }
    let wait = async || match cluster.get(NAMESPACE, None, HOME).await? {
        // One run's end may be another's beginning.
        Some(found) if found.metadata.deletion_timestamp.is_some() => {
            Ok(Err(format!("namespace {HOME} is being deleted")))
        }
        Some(_) => Ok(Ok(())),
        None => match cluster.create(NAMESPACE, &namespace).await? {
            true => Ok(Ok(())),
            false => Ok(Err(format!("namespace {HOME} came and went"))),
        },
    };
    cluster.until("our namespace", PATIENCE, wait).await
}

/// Sees that sensors and NATS are there and ready.
pub(super) async fn ensure(
    cluster: &Cluster,
    images: &Images,
    mut progress: impl FnMut(&str),
) -> Result<Installed, CertifyError> {
    let home = cluster.get(NAMESPACE, None, HOME).await?;
    let is_ours = home.is_some_and(|home| home.annotations().contains_key(MARK));
    if is_ours || cluster.get(DAEMON_SET, Some(HOME), SENSOR).await?.is_none() {
        progress("installing sensors and NATS");
        install(cluster, images).await?;
    }
    progress("waiting for NATS and a sensor on every node");
    let nats = async || {
        let ready = number(
            cluster.get(DEPLOYMENT, Some(HOME), NATS).await?.as_ref(),
            "/status/readyReplicas",
        );
        Ok(if ready >= 1 {
            Ok(())
        } else {
            Err(troubles(cluster).await?)
        })
    };
    cluster.until("NATS", PATIENCE, nats).await?;
    let sensors = async || {
        let found = cluster.get(DAEMON_SET, Some(HOME), SENSOR).await?;
        let wanted = number(found.as_ref(), "/status/desiredNumberScheduled");
        let ready = number(found.as_ref(), "/status/numberReady");
        let current = number(found.as_ref(), "/status/observedGeneration")
            == number(found.as_ref(), "/metadata/generation").max(generation(found.as_ref()));
        Ok(match found {
            Some(found) if current && wanted > 0 && ready == wanted => Ok(found),
            _ => Err(format!(
                "{ready} of {wanted} sensors are ready; {}",
                troubles(cluster).await?
            )),
        })
    };
    let sensor = cluster.until("sensors on every node", PATIENCE, sensors).await?;
    let text = |at: &str| sensor.data.pointer(at).and_then(Value::as_str).map(str::to_owned);
    Ok(Installed {
        image: text("/spec/template/spec/containers/0/image").unwrap_or_default(),
        pull_policy: text("/spec/template/spec/containers/0/imagePullPolicy")
            .unwrap_or_else(|| "IfNotPresent".to_owned()),
    })
}

/// Applies all but the verifier: a run is its own.
async fn install(cluster: &Cluster, images: &Images) -> Result<(), CertifyError> {
    if cluster.get(SECRET, Some(HOME), SECRET_NAME).await?.is_none() {
        let credentials =
            fresh_credentials(jiff::Timestamp::now().as_second()).map_err(|error| CertifyError::Tunnel {
                cause: error.to_string(),
            })?;
        cluster.create(SECRET, &secret(HOME, credentials)).await?;
    }
    for mut object in applied()? {
        let name = name(&object);
        let image = if name == NATS { &images.nats } else { &images.ours };
        if let Some(container) = object.pointer_mut("/spec/template/spec/containers/0") {
            for (field, value) in [("image", image), ("imagePullPolicy", &images.pull_policy)] {
                if let (Some(value), Some(slot)) = (value, container.get_mut(field)) {
                    *slot = json!(value);
                }
            }
        }
        cluster.apply(&object).await?;
    }
    Ok(())
}

/// What is applied, in order.
fn applied() -> Result<Vec<Value>, CertifyError> {
    let mut objects = manifests()?;
    objects.retain(|object| name(object) != VERIFIER && kind(object) != "Namespace");
    Ok(objects)
}

/// The kinds of what is applied.
#[cfg(test)]
pub(super) fn kinds() -> Result<std::collections::BTreeSet<String>, CertifyError> {
    Ok(applied()?.iter().map(|object| kind(object).to_owned()).collect())
}

/// Our namespace, as it is made.
pub(super) fn home_manifest() -> Result<Value, CertifyError> {
    let mut all = manifests()?.into_iter();
    all.find(|object| kind(object) == "Namespace")
        .ok_or_else(|| no_manifest("Namespace"))
}

/// A pod as the sensors' DaemonSet makes them.
pub(super) fn sensor_pod() -> Result<Value, CertifyError> {
    let set = manifests()?
        .into_iter()
        .find(|object| kind(object) == "DaemonSet" && name(object) == SENSOR)
        .ok_or_else(|| no_manifest("DaemonSet"))?;
    let template = set.pointer("/spec/template").cloned().unwrap_or_default();
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "netpol-verify-doctor",
            "namespace": HOME,
            "labels": template.pointer("/metadata/labels"),
        },
        "spec": template.get("spec"),
    }))
}

/// Removes what a run has installed for itself; whatever else is in the namespace goes with it.
pub(super) async fn remove(cluster: &Cluster) -> Result<(), CertifyError> {
    let Some(home) = cluster.get(NAMESPACE, None, HOME).await? else {
        return Ok(());
    };
    if !home.annotations().contains_key(MARK) {
        return Ok(());
    }
    gone(cluster, home).await
}

/// Deletes a namespace and waits until it is gone.
pub(super) async fn gone(cluster: &Cluster, namespace: DynamicObject) -> Result<(), CertifyError> {
    let name = namespace.name_any();
    cluster.delete(&super::api::typed(NAMESPACE, namespace)).await?;
    let left = async || match cluster.get(NAMESPACE, None, &name).await? {
        None => Ok(Ok(())),
        Some(found) => {
            let said = found
                .data
                .pointer("/status/conditions")
                .and_then(Value::as_array)
                .and_then(|conditions| conditions.last())
                .and_then(|condition| condition.get("message"))
                .and_then(Value::as_str)
                .unwrap_or("it is still there");
            Ok(Err(said.to_owned()))
        }
    };
    cluster
        .until(&format!("namespace {name} to go"), PATIENCE, left)
        .await
}

fn manifests() -> Result<Vec<Value>, CertifyError> {
    let documents = document::split(MANIFESTS);
    let mut objects = Vec::new();
    for values in document::values(&documents) {
        let values = values.map_err(|error| CertifyError::Manifest {
            cause: error.message.clone(),
        })?;
        objects.extend(
            values
                .into_iter()
                .map(|(value, _)| value)
                .filter(Value::is_object),
        );
    }
    Ok(objects)
}

fn no_manifest(kind: &str) -> CertifyError {
    CertifyError::Manifest {
        cause: format!("no {kind} is in the manifests"),
    }
}

fn name(object: &Value) -> &str {
    let name = object.pointer("/metadata/name");
    name.and_then(Value::as_str).unwrap_or_default()
}

fn kind(object: &Value) -> &str {
    object.get("kind").and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn number(object: Option<&DynamicObject>, at: &str) -> i64 {
    object
        .and_then(|object| object.data.pointer(at))
        .and_then(Value::as_i64)
        .unwrap_or(0)
}

fn generation(object: Option<&DynamicObject>) -> i64 {
    object.and_then(|object| object.metadata.generation).unwrap_or(0)
}

/// What keeps our pods from being ready, in kubelet's words.
pub(super) async fn troubles(cluster: &Cluster) -> Result<String, CertifyError> {
    let pods = cluster
        .list(POD, Some(HOME), "app.kubernetes.io/name=netpol-verify")
        .await?;
    let mut said: Vec<String> = pods.iter().filter_map(trouble).collect();
    said.sort();
    said.dedup();
    Ok(if said.is_empty() {
        format!("{} pods of ours, none of which says why", pods.len())
    } else {
        said.join("; ")
    })
}

/// Why a pod is not ready: its container's state, or the scheduler's words.
pub(super) fn trouble(pod: &DynamicObject) -> Option<String> {
    let state = |at: &str| pod.data.pointer(at).and_then(Value::as_str);
    let waiting = "/status/containerStatuses/0/state/waiting";
    let name = pod.name_any();
    if let Some(reason) = state(&format!("{waiting}/reason")) {
        let message = state(&format!("{waiting}/message")).unwrap_or_default();
        return Some(format!("{name}: {reason} {message}"));
    }
    if let Some(ended) = state("/status/containerStatuses/0/lastState/terminated/reason") {
        return Some(format!("{name}: its container ended ({ended})"));
    }
    let conditions = pod.data.pointer("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .filter(|condition| condition.get("status").and_then(Value::as_str) == Some("False"))
        .find_map(|condition| condition.get("message").and_then(Value::as_str))
        .map(|message| format!("{name}: {message}"))
}
