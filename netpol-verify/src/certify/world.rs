//! A suite's pods and policies as they are made in a cluster: in namespaces of the run's own, which nothing of the cluster
//! selects.

use serde_json::{Map, Value, json};

use super::error::CertifyError;
use crate::{
    cluster::{ClusterState, NAMESPACE_NAME_LABEL, Namespace, Object, ObjectName, Pod, Problem},
    policy::{Intent, Whom},
    suite::{ProbePattern, Scenario, load},
};

/// The label on everything that belongs to a run.
pub(super) const RUN_LABEL: &str = "netpol-verify.io/run";

/// A suite, renamed for one run.
pub(super) struct World {
    run: String,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) pods: Vec<Pod>,
    pub(super) stages: Vec<Stage>,
    pub(super) probes: Vec<ProbePattern>,
    pub(super) problems: Vec<Problem>,
}

/// What a stage applies.
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) policies: Vec<Value>,
}

impl World {
    /// Renames a scenario for a run.
    pub(super) fn new(scenario: &Scenario, run: &str) -> Result<Self, CertifyError> {
        let loaded = load(&scenario.pods);
        let mut problems = loaded.problems;
        let mut state = ClusterState::default();
        state.apply(loaded.objects);
        let snapshot = state.snapshot();
        let mut world = Self {
            run: run.to_owned(),
            namespaces: Vec::new(),
            pods: Vec::new(),
            stages: Vec::new(),
            probes: Vec::new(),
            problems: Vec::new(),
        };
        for namespace in snapshot.namespaces {
            let mut labels = namespace.labels;
            labels.remove(NAMESPACE_NAME_LABEL);
            world.namespaces.push(Namespace {
                name: world.rename(&namespace.name),
                labels,
            });
        }
        for pod in snapshot.pods {
            world.pods.push(Pod {
                name: ObjectName::new(world.rename(&pod.name.namespace), pod.name.name),
                ..pod
            });
        }
        for stage in &scenario.stages {
            let loaded = load(&stage.apply);
            problems.extend(loaded.problems);
            let mut policies = Vec::new();
            for object in loaded.objects {
                if let Object::Policy(policy) = object {
                    let mut value =
                        serde_json::to_value(&*policy.object).map_err(|error| CertifyError::Manifest {
                            cause: error.to_string(),
                        })?;
                    world.rename_in(&mut value);
                    let name = policy.name();
                    let namespace = world.rename(&name.namespace);
                    if let Some(object) = value.as_object_mut() {
                        object.insert("apiVersion".to_owned(), json!("networking.k8s.io/v1"));
                        object.insert("kind".to_owned(), json!("NetworkPolicy"));
                        object.insert(
                            "metadata".to_owned(),
                            json!({"name": name.name, "namespace": namespace}),
                        );
                    }
                    policies.push(value);
                }
            }
            world.stages.push(Stage {
                name: stage.name.clone(),
                title: stage.title.clone(),
                policies,
            });
        }
        world.probes = scenario
            .probes
            .iter()
            .map(|pattern| ProbePattern {
                from: world.rename_pattern(&pattern.from),
                to: world.rename_pattern(&pattern.to),
                ..pattern.clone()
            })
            .collect();
        world.problems = problems;
        Ok(world)
    }

    /// What the owner wants, of the run's pods.
    pub(super) fn intent(&self, scenario: &Scenario) -> Option<Intent> {
        let (file, text) = scenario.intent.as_ref()?;
        let (mut intent, _) = Intent::parse(text, file);
        for path in intent.paths.iter_mut().chain(&mut intent.closed) {
            for end in [&mut path.from, &mut path.to] {
                match end {
                    Whom::Pod(name) => name.namespace = self.rename(&name.namespace),
                    Whom::Namespace(namespace) => *namespace = self.rename(namespace),
                    Whom::Address(_) => {}
                }
            }
        }
        Some(intent)
    }

    fn rename(&self, namespace: &str) -> String {
        format!("npv-{}-{namespace}", self.run)
    }

    fn rename_pattern(&self, name: &ObjectName) -> ObjectName {
        match name.namespace.as_str() {
            "*" => name.clone(),
            namespace => ObjectName::new(self.rename(namespace), name.name.clone()),
        }
    }

    /// Whether a namespace is one of the run's.
    pub(super) fn holds(&self, namespace: &str) -> bool {
        self.namespaces.iter().any(|one| one.name == namespace)
    }

    /// Selectors that name a namespace by its name name the run's.
    fn rename_in(&self, value: &mut Value) {
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
            *name = self.rename(name);
        }
    }

    fn rename_expression(&self, map: &mut Map<String, Value>) {
        if map.get("key").and_then(Value::as_str) != Some(NAMESPACE_NAME_LABEL) {
            return;
        }
        if let Some(Value::Array(names)) = map.get_mut("values") {
            for name in names {
                if let Value::String(name) = name {
                    *name = self.rename(name);
                }
            }
        }
    }

    /// The manifest of a namespace of the run.
    pub(super) fn namespace_manifest(&self, namespace: &Namespace) -> Value {
        let mut labels = namespace.labels.clone();
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

    /// The manifest of a pod that is only there to be probed, on a node. It runs nothing that listens: a SYN that reaches
    /// it is answered by its kernel's reset, and that is an answer.
    pub(super) fn pod_manifest(pod: &Pod, hostname: &str, image: &str, pull_policy: &str) -> Value {
        let ports: Vec<Value> = pod
            .ports
            .iter()
            .map(|port| {
                let mut value = json!({"containerPort": port.port, "protocol": port.protocol.as_str()});
                if let (Some(name), Some(map)) = (&port.name, value.as_object_mut()) {
                    map.insert("name".to_owned(), json!(name));
                }
                value
            })
            .collect();
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
                "containers": [{
                    "name": "pause",
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
                }],
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::World;
    use crate::suite::Scenario;

    #[test]
    fn a_run_has_names_of_its_own_everywhere() {
        let scenario = Scenario::load("guide").unwrap();
        let world = World::new(&scenario, "abc12").unwrap();
        assert_eq!((world.namespaces.len(), world.pods.len()), (2, 5));
        assert!(
            world
                .namespaces
                .iter()
                .all(|one| one.name.starts_with("npv-abc12-"))
        );
        let text: String = world
            .stages
            .iter()
            .flat_map(|stage| &stage.policies)
            .map(ToString::to_string)
            .collect();
        assert!(text.contains("npv-abc12-kube-system"), "{text}");
        assert!(
            !text.contains("\"kube-system\"") && !text.contains("\"netpol-demo\""),
            "{text}"
        );
        assert!(world.holds("npv-abc12-netpol-demo") && !world.holds("kube-system"));
        assert!(
            world
                .probes
                .iter()
                .all(|probe| world.holds(&probe.from.namespace))
        );
    }
}
