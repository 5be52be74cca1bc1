//! Where a run probes: pods and policies of its own, or what is there already.

use std::collections::BTreeSet;

use super::{
    existing::{self, Existing},
    world::World,
};
use crate::{
    cluster::{ClusterState, SourcedPolicy},
    report::{Intent, Problem, StageTitle},
    suite::{Scenario, check_intent, reported},
};

/// Where a run probes.
pub(super) enum Ground<'a> {
    /// A suite's pods, made for the run.
    Own(World, &'a Scenario),
    /// The user's own.
    Existing(&'a Existing),
}

impl Ground<'_> {
    /// Whether objects of a namespace are part of it.
    fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::Own(world, _) => world.holds(namespace),
            Self::Existing(existing) => existing.holds(namespace),
        }
    }

    /// The stages, in order.
    pub(super) fn stages(&self) -> Vec<StageTitle> {
        match self {
            Self::Own(world, _) => world
                .stages
                .iter()
                .map(|stage| StageTitle {
                    name: stage.name.clone(),
                    title: Some(stage.title.clone()).filter(|title| !title.is_empty()),
                })
                .collect(),
            Self::Existing(_) => vec![StageTitle {
                name: existing::STAGE.to_owned(),
                title: Some(existing::TITLE.to_owned()),
            }],
        }
    }

    /// What in the suite could not be taken.
    pub(super) fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Own(world, _) => world.problems.iter().map(reported).collect(),
            Self::Existing(_) => Vec::new(),
        }
    }

    /// Whether a problem of the cluster is one of this report: other people's objects are not, but what holds for everyone
    /// is where everyone's pods are probed.
    pub(super) fn concerns(&self, problem: &Problem) -> bool {
        let object = problem.object.as_deref().unwrap_or_default();
        let name = object.split_once(' ').map_or(object, |(_, name)| name);
        match (name.split_once('/'), self) {
            (Some((namespace, _)), _) => self.holds(namespace),
            (None, Self::Own(..)) => object.contains("npv-"),
            (None, Self::Existing(_)) => true,
        }
    }

    /// The policies that could have been exercised.
    pub(super) fn policies(&self, state: &ClusterState) -> BTreeSet<String> {
        let policies = state.snapshot().policies;
        policies
            .iter()
            .map(SourcedPolicy::name)
            .filter(|name| self.holds(&name.namespace))
            .map(|name| name.to_string())
            .collect()
    }

    /// The pods that could have been probed.
    pub(super) fn pods(&self, state: &ClusterState) -> Vec<String> {
        match self {
            Self::Own(world, _) => world.pods.iter().map(|pod| pod.name.to_string()).collect(),
            Self::Existing(existing) => {
                let pods = state.snapshot().pods;
                let taken = pods.iter().filter(|pod| existing.takes(pod));
                taken.map(|pod| pod.name.to_string()).collect()
            }
        }
    }

    /// The owner's wishes, checked.
    pub(super) fn intent(&self, state: &ClusterState) -> Vec<Intent> {
        match self {
            Self::Own(world, scenario) => world
                .intent(scenario)
                .map(|intent| check_intent(&intent, state))
                .unwrap_or_default(),
            Self::Existing(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Existing, Ground};
    use crate::report::Problem;

    #[test]
    fn problems_of_other_namespaces_are_not_this_reports() {
        let existing = Existing {
            namespaces: vec!["shop".to_owned()],
            labels: None,
            ports: Vec::new(),
            udp: false,
            rate: 1,
            most: 1,
            seed: 1,
        };
        let ground = Ground::Existing(&existing);
        let concerns = |object: Option<&str>| {
            ground.concerns(&Problem {
                place: "cluster".to_owned(),
                object: object.map(str::to_owned),
                path: None,
                message: String::new(),
            })
        };
        assert!(concerns(Some("NetworkPolicy shop/a")));
        assert!(!concerns(Some("NetworkPolicy bank/shop")));
        assert!(concerns(Some("AdminNetworkPolicy all")) && concerns(Some("Node")) && concerns(None));
    }
}
