//! What it takes to see a failing attempt again: its two pods and the policies that select one of them.

use serde_json::{Value, json};

use crate::{
    cluster::{Namespace, Object, ObjectName, Pod, Snapshot},
    finding::JudgedAttempt,
    report::{Proof, words},
};

/// The proof of a failure in a case, with a manifest of what takes part in it.
pub(super) fn proof(case: &str, step: usize, attempt: &JudgedAttempt, snapshot: &Snapshot) -> Proof {
    Proof {
        step,
        attempt: JudgedAttempt {
            stage: format!("{case} step {step}"),
            ..attempt.clone()
        },
        manifest: manifest(&[pod(&attempt.from), pod(&attempt.to)], snapshot),
    }
}

/// What cannot be told, in words.
pub(super) fn doubt(step: usize, attempt: &JudgedAttempt) -> String {
    format!("step {step}: {}", words(attempt))
}

/// The pod in an end's name, which may go on with the Service that was dialled.
fn pod(end: &str) -> &str {
    end.split_once(' ').map_or(end, |(pod, _)| pod)
}

/// The pods, their namespaces, and every NetworkPolicy of which one may decide about them, as YAML documents; what else takes
/// part is named in comments.
pub(super) fn manifest(pods: &[&str], snapshot: &Snapshot) -> String {
    let ends: Vec<&Pod> = snapshot
        .pods
        .iter()
        .filter(|pod| pods.contains(&pod.name.to_string().as_str()))
        .collect();
    let holds = |name: &ObjectName| ends.iter().any(|pod| pod.name.namespace == name.namespace);
    let mut documents: Vec<Value> = snapshot
        .namespaces
        .iter()
        .filter(|namespace| ends.iter().any(|pod| pod.name.namespace == namespace.name))
        .map(of_namespace)
        .collect();
    for policy in snapshot.policies.iter().filter(|policy| holds(&policy.name())) {
        if let Ok(mut value) = serde_json::to_value(&*policy.object) {
            head(&mut value, "networking.k8s.io/v1", "NetworkPolicy");
            documents.push(value);
        }
    }
    documents.extend(ends.iter().map(|pod| of_pod(pod)));
    let texts = documents
        .iter()
        .filter_map(|value| serde_saphyr::to_string(value).ok());
    // What is not kept as it was written can only be named.
    let beside: String = beside(snapshot)
        .map(|name| format!("# and {name}, as the case applies it\n"))
        .collect();
    beside + &texts.collect::<Vec<_>>().join("---\n")
}

/// What may decide too: policies of administrators, and Services.
fn beside(snapshot: &Snapshot) -> impl Iterator<Item = String> {
    let admin = snapshot.admin.iter().cloned().map(Object::Admin);
    let services = snapshot.services.iter().cloned().map(Object::Service);
    admin.chain(services).map(|object| object.key().to_string())
}

fn head(value: &mut Value, version: &str, kind: &str) {
    if let Some(map) = value.as_object_mut() {
        map.insert("apiVersion".to_owned(), json!(version));
        map.insert("kind".to_owned(), json!(kind));
    }
}

fn of_namespace(namespace: &Namespace) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace.name, "labels": namespace.labels},
    })
}

fn of_pod(pod: &Pod) -> Value {
    let ports = declared_ports(pod);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod.name.name, "namespace": pod.name.namespace, "labels": pod.labels},
        "spec": {
            "nodeName": pod.node,
            "containers": [{"name": "main", "image": "registry.k8s.io/pause:3.10", "ports": ports}],
        },
    })
}

/// A pod's ports as its manifest declares them.
#[must_use]
pub fn declared_ports(pod: &Pod) -> Vec<Value> {
    let declared = pod.ports.iter().map(|port| {
        let mut value = json!({"containerPort": port.port, "protocol": port.protocol.as_str()});
        if let (Some(name), Some(map)) = (&port.name, value.as_object_mut()) {
            map.insert("name".to_owned(), json!(name));
        }
        value
    });
    declared.collect()
}
