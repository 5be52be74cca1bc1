//! Draws one cluster: namespaces, pods and policies, as manifests.

use serde_json::{Map, Value, json};

use super::{
    cluster::Cluster,
    dice::Dice,
    draw_policy::policy,
    words::{PLACES, PORT_NAMES, Place, labels, namespaces, number, protocol},
};

/// What every pod runs where the manifests are applied: it serves nothing, and nothing need be served.
const IMAGE: &str = "registry.k8s.io/pause:3.10";

/// The cluster of a seed and a number.
pub(super) fn draw(seed: u64, number: u64) -> Cluster {
    let mut dice = Dice::new(seed, number);
    let dice = &mut dice;
    let mut manifests: Vec<Value> = namespaces()
        .into_iter()
        .map(|name| {
            let labels = labels(dice);
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        })
        .collect();
    let count = dice.between(3, 6);
    let places = dice.some_of((0..PLACES).collect(), count);
    manifests.extend(places.iter().map(|place| pod(dice, *place)));
    if dice.percent(20) {
        // It is over, and one of the others may have its address by now (R28).
        manifests.push(ended(dice, places.first().copied().unwrap_or(0)));
    }
    if dice.percent(20) {
        manifests.push(host_pod(dice));
    }
    let policies = dice.between(1, 4);
    manifests.extend((0..policies).map(|index| policy(dice, index)));
    Cluster::new(manifests)
}

fn pod(dice: &mut Dice, number: usize) -> Value {
    let place = Place::of(number);
    let phase = if dice.percent(8) { "Pending" } else { "Running" };
    let mut ports: Vec<Value> = Vec::new();
    for name in PORT_NAMES {
        if dice.percent(45) {
            ports.push(port(dice, name));
        }
    }
    let mut spec = Map::new();
    spec.insert("nodeName".to_owned(), json!(format!("node{}", place.node)));
    if let Some(port) = ports.pop().filter(|_| dice.percent(25)) {
        let mut first = json!({"name": "first", "image": IMAGE, "ports": [port]});
        // A native sidecar's ports count as the pod's, those of an init container that ends do not (R18).
        if let (true, Some(first)) = (dice.percent(60), first.as_object_mut()) {
            first.insert("restartPolicy".to_owned(), json!("Always"));
        }
        spec.insert("initContainers".to_owned(), json!([first]));
    }
    spec.insert("containers".to_owned(), json!([container(&ports)]));
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": format!("pod-{number}"), "namespace": place.namespace, "labels": labels(dice)},
        "spec": spec,
        "status": {"phase": phase, "podIPs": place.addresses()},
    })
}

fn container(ports: &[Value]) -> Value {
    if ports.is_empty() {
        json!({"name": "main", "image": IMAGE})
    } else {
        json!({"name": "main", "image": IMAGE, "ports": ports})
    }
}

fn port(dice: &mut Dice, name: &str) -> Value {
    json!({"name": name, "containerPort": number(dice), "protocol": protocol(dice)})
}

fn ended(dice: &mut Dice, heir: usize) -> Value {
    let namespace = super::words::namespace(dice);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "ended", "namespace": namespace, "labels": labels(dice)},
        "spec": {"containers": [container(&[])]},
        "status": {"phase": dice.pick("Succeeded", &["Failed"]), "podIPs": Place::of(heir).addresses()},
    })
}

fn host_pod(dice: &mut Dice) -> Value {
    let namespace = super::words::namespace(dice);
    let node = dice.between(1, 2);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "on-host", "namespace": namespace, "labels": labels(dice)},
        "spec": {"nodeName": format!("node{node}"), "hostNetwork": true, "containers": [container(&[])]},
        "status": {"phase": "Running", "podIPs": [{"ip": format!("10.99.0.{node}")}, {"ip": format!("fd00:99::{node}")}]},
    })
}
