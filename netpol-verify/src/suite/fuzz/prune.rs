//! The parts of a cluster that can be left out, biggest first.

use serde_json::Value;

use super::cluster::{Cluster, is_of};
use crate::{cluster::path::Step, finding::JudgedAttempt};

/// Where a part is.
pub(super) type Part = Vec<Step>;

/// The cluster with nothing in it but the ends of an attempt, their namespaces and the policies there.
pub(super) fn only_the_ends(cluster: &Cluster, attempt: &JudgedAttempt) -> Cluster {
    let ends = [attempt.from.as_str(), attempt.to.as_str()];
    let namespaces: Vec<&str> = ends
        .iter()
        .filter_map(|end| end.split_once('/'))
        .map(|(namespace, _)| namespace)
        .collect();
    let is_kept = |manifest: &&Value| {
        let (namespace, name) = names(manifest);
        if is_of(manifest, "Pod") {
            ends.contains(&format!("{namespace}/{name}").as_str())
        } else if is_of(manifest, "Namespace") {
            namespaces.contains(&name)
        } else {
            namespaces.contains(&namespace)
        }
    };
    Cluster::new(cluster.manifests.iter().filter(is_kept).cloned().collect())
}

/// The cluster without namespaces in which nothing is.
pub(super) fn without_empty_namespaces(cluster: &Cluster) -> Cluster {
    let is_used = |namespace: &str| {
        let inside = cluster
            .manifests
            .iter()
            .filter(|manifest| !is_of(manifest, "Namespace"));
        inside.into_iter().any(|manifest| names(manifest).0 == namespace)
    };
    let is_kept = |manifest: &&Value| !is_of(manifest, "Namespace") || is_used(names(manifest).1);
    Cluster::new(cluster.manifests.iter().filter(is_kept).cloned().collect())
}

/// Namespace and name.
fn names(manifest: &Value) -> (&str, &str) {
    let metadata = manifest.get("metadata");
    let text = |key| {
        metadata
            .and_then(|metadata| metadata.get(key))
            .and_then(Value::as_str)
    };
    (
        text("namespace").unwrap_or_default(),
        text("name").unwrap_or_default(),
    )
}

/// Everything that can be left out by itself, by how much it is.
pub(super) fn parts(cluster: &Cluster) -> Vec<Part> {
    let mut found: Vec<(usize, Part)> = Vec::new();
    for (index, manifest) in cluster.manifests.iter().enumerate() {
        let mut way = vec![Step::Index(index)];
        if !is_of(manifest, "Namespace") {
            found.push((size(manifest), way.clone()));
        }
        inside(manifest, &mut way, &mut found);
    }
    found.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    found.into_iter().map(|(_, part)| part).collect()
}

fn inside(value: &Value, way: &mut Part, found: &mut Vec<(usize, Part)>) {
    let mut see = |step: Step, inner: &Value, found: &mut Vec<(usize, Part)>| {
        let may_go = !is_needed(&step, way);
        way.push(step);
        if may_go {
            found.push((size(inner), way.clone()));
        }
        inside(inner, way, found);
        way.pop();
    };
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                see(Step::Key(key.clone()), inner, found);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                see(Step::Index(index), inner, found);
            }
        }
        _ => {}
    }
}

/// What makes a manifest the manifest that it is. A port of a pod goes as a whole or stays.
fn is_needed(step: &Step, parent: &[Step]) -> bool {
    match step {
        Step::Key(key) => match key.as_str() {
            "apiVersion" | "kind" | "metadata" | "name" | "namespace" | "spec" | "status" | "podIPs"
            | "ip" | "phase" | "nodeName" | "hostNetwork" | "containers" | "image" | "containerPort"
            | "key" | "operator" | "cidr" => true,
            // A policy's own; an entry of peers can do without.
            "podSelector" => matches!(parent, [Step::Index(_), Step::Key(_)]),
            _ => false,
        },
        Step::Index(_) => match parent.last() {
            Some(Step::Key(list)) => matches!(list.as_str(), "containers" | "podIPs"),
            _ => false,
        },
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        Value::Array(list) => 1 + list.iter().map(size).sum::<usize>(),
        _ => 1,
    }
}
