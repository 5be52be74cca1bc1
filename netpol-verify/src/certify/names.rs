//! A run's own names: what a suite calls `x` is `npv-<run>-x` in the cluster, which nothing else there selects.

use serde_json::{Map, Value, json};

use super::error::CertifyError;
use crate::{
    cluster::{NAMESPACE_NAME_LABEL, Namespace, ObjectName, Pod, SourcedPolicy},
    suite::{ProbePattern, containers},
};

/// The label on everything that belongs to a run.
pub(super) const RUN_LABEL: &str = "netpol-verify.io/run";

/// The names of one run.
#[derive(Clone, Debug)]
pub(super) struct Names {
    run: String,
}

impl Names {
    pub(super) fn of(run: &str) -> Self {
        Self { run: run.to_owned() }
    }

    /// A namespace's name in the cluster.
    pub(super) fn namespace(&self, namespace: &str) -> String {
        format!("npv-{}-{namespace}", self.run)
    }

    /// A pod's or policy's name in the cluster.
    pub(super) fn object(&self, name: &ObjectName) -> ObjectName {
        ObjectName::new(self.namespace(&name.namespace), name.name.clone())
    }

    pub(super) fn pattern(&self, pattern: &ProbePattern) -> ProbePattern {
        let end = |name: &ObjectName| match name.namespace.as_str() {
            "*" => name.clone(),
            _ => self.object(name),
        };
        ProbePattern {
            from: end(&pattern.from),
            to: end(&pattern.to),
            ..pattern.clone()
        }
    }

    /// A text of the run with the suite's own names in it again.
    pub(super) fn of_suite(&self, text: &str) -> String {
        text.replace(&self.namespace(""), "")
    }

    /// Selectors that name a namespace by its name name the run's.
    pub(super) fn rename_in(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                self.rename_label(map);
                self.rename_expression(map);
                map.values_mut().for_each(|inner| self.rename_in(inner));
            }
            Value::Array(items) => items.iter_mut().for_each(|inner| self.rename_in(inner)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn rename_label(&self, map: &mut Map<String, Value>) {
        if let Some(Value::String(name)) = map.get_mut(NAMESPACE_NAME_LABEL) {
            *name = self.namespace(name);
        }
    }

    fn rename_expression(&self, map: &mut Map<String, Value>) {
        if map.get("key").and_then(Value::as_str) != Some(NAMESPACE_NAME_LABEL) {
            return;
        }
        if let Some(Value::Array(names)) = map.get_mut("values") {
            for name in names {
                if let Value::String(name) = name {
                    *name = self.namespace(name);
                }
            }
        }
    }

    /// The manifest of a suite's policy under its name in the cluster.
    pub(super) fn policy_manifest(&self, policy: &SourcedPolicy) -> Result<Value, CertifyError> {
        let mut value = serde_json::to_value(&*policy.object).map_err(|error| CertifyError::Manifest {
            cause: error.to_string(),
        })?;
        self.rename_in(&mut value);
        let name = self.object(&policy.name());
        if let Some(object) = value.as_object_mut() {
            object.insert("apiVersion".to_owned(), json!("networking.k8s.io/v1"));
            object.insert("kind".to_owned(), json!("NetworkPolicy"));
            object.insert(
                "metadata".to_owned(),
                json!({"name": name.name, "namespace": name.namespace}),
            );
        }
        Ok(value)
    }

    /// The manifest of a namespace, named as it is in the cluster, as one of the run's.
    pub(super) fn namespace_manifest(&self, namespace: &Namespace) -> Value {
        let mut labels = namespace.labels.clone();
        labels.remove(NAMESPACE_NAME_LABEL);
        labels.insert(RUN_LABEL.to_owned(), self.run.clone());
        labels.insert(
            "app.kubernetes.io/managed-by".to_owned(),
            "netpol-verify".to_owned(),
        );
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace.name, "labels": labels},
        })
    }

    /// The manifest of a pod, named as it is in the cluster, that is only there to be probed, on a node. It runs nothing that
    /// listens: a SYN that reaches it is answered by its kernel's reset, and that is an answer.
    pub(super) fn pod_manifest(pod: &Pod, hostname: &str, image: &str, pull_policy: &str) -> Value {
        let (sidecars, containers) = containers(pod, |name, ports| {
            json!({
                "name": name,
                "image": image,
                "imagePullPolicy": pull_policy,
                "args": ["pause"],
                "ports": ports,
                "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
            })
        });
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": pod.name.name,
                "namespace": pod.name.namespace,
                "labels": pod.labels,
            },
            "spec": {
                // The scheduler decides, and has one choice.
                "nodeSelector": {"kubernetes.io/hostname": hostname},
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "terminationGracePeriodSeconds": 1,
                "securityContext": {
                    "runAsNonRoot": true,
                    "runAsUser": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "initContainers": sidecars,
                "containers": containers,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Names;

    #[test]
    fn selectors_by_name_mean_the_runs_namespaces_and_texts_come_back() {
        let names = Names::of("abc12");
        let mut value = json!({"namespaceSelector": {
            "matchLabels": {"kubernetes.io/metadata.name": "x", "team": "x"},
            "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["y"]}],
        }});
        names.rename_in(&mut value);
        let selector = &value["namespaceSelector"];
        assert_eq!(
            selector["matchLabels"]["kubernetes.io/metadata.name"],
            "npv-abc12-x"
        );
        assert_eq!(selector["matchLabels"]["team"], "x");
        assert_eq!(selector["matchExpressions"][0]["values"][0], "npv-abc12-y");
        assert_eq!(names.of_suite("npv-abc12-x/base (egress)"), "x/base (egress)");
        assert_eq!(names.of_suite("npv-other-x/base"), "npv-other-x/base");
    }
}
