//! A suite's pods and policies as they are made in a cluster: in namespaces of the run's own, which nothing of the cluster
//! selects.

use serde_json::Value;

use super::{error::CertifyError, names::Names};
use crate::{
    cluster::{ClusterState, Namespace, Object, Pod, Problem},
    policy::{Intent, Whom},
    suite::{ProbePattern, Scenario, load},
};

/// A suite, renamed for one run.
pub(super) struct World {
    pub(super) names: Names,
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
            names: Names::of(run),
            namespaces: Vec::new(),
            pods: Vec::new(),
            stages: Vec::new(),
            probes: Vec::new(),
            problems: Vec::new(),
        };
        for namespace in snapshot.namespaces {
            world.namespaces.push(Namespace {
                name: world.names.namespace(&namespace.name),
                labels: namespace.labels,
            });
        }
        for pod in snapshot.pods {
            world.pods.push(Pod {
                name: world.names.object(&pod.name),
                ..pod
            });
        }
        for stage in &scenario.stages {
            let loaded = load(&stage.apply);
            problems.extend(loaded.problems);
            let mut policies = Vec::new();
            for object in loaded.objects {
                if let Object::Policy(policy) = object {
                    policies.push(world.names.policy_manifest(&policy)?);
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
            .map(|pattern| world.names.pattern(pattern))
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
                    Whom::Pod(name) => name.namespace = self.names.namespace(&name.namespace),
                    Whom::Namespace(namespace) => *namespace = self.names.namespace(namespace),
                    Whom::Address(_) => {}
                }
            }
        }
        Some(intent)
    }

    /// Whether a namespace is one of the run's.
    pub(super) fn holds(&self, namespace: &str) -> bool {
        self.namespaces.iter().any(|one| one.name == namespace)
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
