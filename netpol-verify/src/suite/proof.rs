//! What it takes to see a failing attempt again: its two pods and the policies that select one of them.

use serde_json::{Value, json};

use crate::{
    cluster::{ContainerPort, Namespace, Object, ObjectName, Pod, Snapshot},
    finding::JudgedAttempt,
    report::{Proof, words},
};

/// The proof of a failure in a case, with a manifest of what takes part in it.
pub(super) fn proof(case: &str, step: usize, attempt: &JudgedAttempt, snapshot: &Snapshot) -> Proof {
    Proof {
        moment: None,
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
    let (sidecars, containers) = containers(
        pod,
        |name, ports| json!({"name": name, "image": "registry.k8s.io/pause:3.10", "ports": ports}),
    );
    let mut spec = json!({"nodeName": pod.node, "containers": containers});
    if !sidecars.is_empty() {
        spec["initContainers"] = json!(sidecars);
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod.name.name, "namespace": pod.name.namespace, "labels": pod.labels},
        "spec": spec,
    })
}

/// Native sidecars and containers that declare a pod's ports, each made of a name and ports: in one container no name may
/// stand twice (API validation), and in a pod one may.
#[must_use]
pub fn containers(pod: &Pod, make: impl Fn(String, Vec<Value>) -> Value) -> (Vec<Value>, Vec<Value>) {
    let (sidecars, ports): (Vec<_>, Vec<_>) = pod.ports.iter().partition(|port| port.sidecar);
    let sidecars = by_container(&sidecars)
        .into_iter()
        .enumerate()
        .map(|(index, ports)| {
            let mut sidecar = make(format!("sidecar-{}", index + 1), ports);
            sidecar["restartPolicy"] = json!("Always");
            sidecar
        })
        .collect();
    let mut containers = by_container(&ports);
    if containers.is_empty() {
        containers.push(Vec::new());
    }
    let containers = containers
        .into_iter()
        .enumerate()
        .map(|(index, ports)| match index {
            0 => make("main".to_owned(), ports),
            more => make(format!("main-{}", more + 1), ports),
        })
        .collect();
    (sidecars, containers)
}

fn by_container(ports: &[&ContainerPort]) -> Vec<Vec<Value>> {
    let mut containers: Vec<Vec<&ContainerPort>> = Vec::new();
    for port in ports {
        let fits = |container: &&mut Vec<&ContainerPort>| {
            port.name.is_none() || container.iter().all(|other| other.name != port.name)
        };
        match containers.iter_mut().find(fits) {
            Some(container) => container.push(port),
            None => containers.push(vec![port]),
        }
    }
    let declared = |ports: Vec<&ContainerPort>| ports.into_iter().map(declared).collect();
    containers.into_iter().map(declared).collect()
}

fn declared(port: &ContainerPort) -> Value {
    let mut value = json!({"containerPort": port.port, "protocol": port.protocol.as_str()});
    if let (Some(name), Some(map)) = (&port.name, value.as_object_mut()) {
        map.insert("name".to_owned(), json!(name));
    }
    value
}
