//! Workloads: the pods that a Deployment's template stands for, and the workload that a pod belongs to.
//!
//! Helm and kustomize print workloads, never pods. One pod stands for all replicas of a template: they have the same labels,
//! and policies cannot tell them apart. It has no address, so that an `ipBlock` may or may not match it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Kind, Object, ObjectKey, ObjectName, Pod, Problem, Workload,
    convert::Report,
    path::FieldPath,
    schema::{Manifest, OwnerReference},
};

/// A pod that stands for a workload's replicas.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) pod: Pod,
    pub(super) workload: Workload,
    /// Said where the pod has no place because of its name.
    pub(super) problem: Problem,
}

/// The path of the pod template in a workload of this kind; `None` for kinds that make no pods.
pub(super) fn template_path(api_version: &str, kind: &str) -> Option<&'static str> {
    match (api_version, kind) {
        ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("v1", "ReplicationController")
        | ("batch/v1", "Job") => Some("/spec/template"),
        ("batch/v1", "CronJob") => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

/// The pod that a workload's template stands for; `None` for a workload that another one controls.
pub(super) fn template(
    kind: &str,
    path: &str,
    mut value: Value,
    report: &mut Report<'_>,
) -> Option<Template> {
    let template = value.pointer_mut(path).map(Value::take).unwrap_or_default();
    let outer: Manifest = report.typed(value)?;
    let metadata = outer.metadata.unwrap_or_default();
    if controller(metadata.owner_references.as_deref()).is_some() {
        return None;
    }
    let name = report.checked_name(metadata.name)?;
    let namespace = report.checked_namespace(metadata.namespace)?;
    let workload = Workload {
        kind: kind.to_owned(),
        name: name.clone(),
    };
    report.within(FieldPath::of(&path.replace('/', ".")));
    let inner: Manifest = report.typed(if template.is_null() {
        Value::Object(serde_json::Map::new())
    } else {
        template
    })?;
    let mut pod = report.pod(ObjectName::new(namespace, name), inner);
    pod.ips = Vec::new();
    pod.node = None;
    pod.workload = Some(workload.clone());
    let message = "a pod of the workload's name is there already and stands for something else; the workload is left out";
    Some(Template {
        problem: report.made(message),
        pod,
        workload,
    })
}

/// The templates that no pod of their workload makes needless, as pods.
pub(super) fn settle(templates: Vec<Template>, objects: &mut Vec<Object>, problems: &mut Vec<Problem>) {
    let mut taken: BTreeSet<ObjectName> = BTreeSet::new();
    let mut alive: BTreeSet<(String, Workload)> = BTreeSet::new();
    for object in objects.iter() {
        if let Object::Pod(pod) = object {
            taken.insert(pod.name.clone());
            alive.extend(
                pod.workload
                    .clone()
                    .map(|workload| (pod.name.namespace.clone(), workload)),
            );
        }
    }
    for mut template in templates {
        let namespace = template.pod.name.namespace.clone();
        if alive.contains(&(namespace.clone(), template.workload.clone())) {
            continue;
        }
        if taken.contains(&template.pod.name) {
            let kind = template.workload.kind.to_lowercase();
            template.pod.name = ObjectName::new(namespace, format!("{}.{kind}", template.workload.name));
        }
        if taken.insert(template.pod.name.clone()) {
            objects.push(Object::Pod(template.pod));
        } else {
            problems.push(template.problem);
        }
    }
}

/// The workload that controls a pod. A ReplicaSet's name is its Deployment's and the pods' `pod-template-hash`.
pub(super) fn of_pod(
    owners: Option<&[OwnerReference]>,
    labels: &std::collections::BTreeMap<String, String>,
) -> Option<Workload> {
    let owner = controller(owners)?;
    let (kind, name) = (owner.kind.clone()?, owner.name.clone()?);
    let deployment = labels
        .get("pod-template-hash")
        .filter(|_| kind == "ReplicaSet")
        .and_then(|hash| name.strip_suffix(hash.as_str())?.strip_suffix('-'));
    Some(match deployment {
        Some(deployment) => Workload {
            kind: "Deployment".to_owned(),
            name: deployment.to_owned(),
        },
        None => Workload { kind, name },
    })
}

fn controller(owners: Option<&[OwnerReference]>) -> Option<&OwnerReference> {
    owners?.iter().find(|owner| owner.controller == Some(true))
}

/// The key under which a workload is known while manifests are read: two of one name are one.
pub(super) fn key(workload: &Workload, namespace: &str) -> ObjectKey {
    ObjectKey {
        kind: Kind::Pod,
        namespace: Some(namespace.to_owned()),
        name: workload.to_string(),
    }
}
