//! What to build: the wiring, how many nodes, which pods, and where each pod goes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::NodeNumber;
use crate::cluster::{ObjectName, Pod};

/// How pods hang on their node and how nodes reach each other's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wiring {
    /// A bridge on each node, as Flannel and kubenet.
    Bridge {
        /// How nodes reach each other's pods.
        overlay: Overlay,
    },
    /// A host route for each pod and a gateway that is nobody's, as Calico and Azure's transparent mode.
    Routed,
}

/// How a bridged pod's packet reaches another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlay {
    /// Inside VXLAN, as Flannel's default backend; the bridge is `cni0`.
    Vxlan,
    /// By a route through the other node, as kubenet; the bridge is `cbr0`.
    HostGateway,
}

/// Whether the real CNI plugins `bridge` and `host-local` do the bridge wiring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plugins {
    /// Where they are installed.
    #[default]
    Auto,
    /// Never; the lab does the same by itself.
    Never,
}

/// The text names no wiring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a wiring; expected bridge or routed")]
pub struct ParseWiringError(pub String);

impl FromStr for Wiring {
    type Err = ParseWiringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "bridge" => Ok(Self::Bridge {
                overlay: Overlay::Vxlan,
            }),
            "routed" => Ok(Self::Routed),
            _ => Err(ParseWiringError(text.to_owned())),
        }
    }
}

impl fmt::Display for Wiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge { .. } => "bridge",
            Self::Routed => "routed",
        })
    }
}

/// A cluster to build.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The wiring.
    pub wiring: Wiring,
    /// How many nodes, 1 to 250.
    pub nodes: usize,
    /// The pods. `node` is obeyed; `ips` where they are a pair of the node's own pod network that is free and no plugin gives
    /// the addresses; else the lab gives others.
    pub pods: Vec<Pod>,
    /// Who does the bridge wiring.
    pub plugins: Plugins,
}

/// A plan that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// No node, or more than there are addresses for.
    #[error("a lab has 1 to {max} nodes, not {wanted}; choose another --nodes", max = NodeNumber::MAX)]
    NodeCount {
        /// How many were asked for.
        wanted: usize,
    },
    /// `spec.nodeName` names a node that the lab has not.
    #[error(
        "pod {pod} asks for node {node:?}, but the lab has node1 to node{nodes}; change spec.nodeName or raise --nodes"
    )]
    NoSuchNode {
        /// The pod.
        pod: ObjectName,
        /// The node it names.
        node: String,
        /// How many there are.
        nodes: usize,
    },
    /// Two pods of one name.
    #[error("pod {pod} is there already; remove it first")]
    Twice {
        /// The pod.
        pod: ObjectName,
    },
}

impl Plan {
    /// A plan with two nodes and the real plugins where there are some.
    #[must_use]
    pub fn new(wiring: Wiring, pods: Vec<Pod>) -> Self {
        Self {
            wiring,
            nodes: 2,
            pods,
            plugins: Plugins::Auto,
        }
    }

    /// The nodes' numbers.
    ///
    /// # Errors
    /// When there are none or too many.
    pub fn node_numbers(&self) -> Result<Vec<NodeNumber>, PlacementError> {
        let all: Option<Vec<_>> = (1..=self.nodes).map(NodeNumber::new).collect();
        all.filter(|nodes| !nodes.is_empty())
            .ok_or(PlacementError::NodeCount { wanted: self.nodes })
    }

    /// The node of each pod, in the order of the pods: the one it names, else round robin over all.
    ///
    /// # Errors
    /// When a pod names a node that is not there, or comes twice.
    pub fn place(&self) -> Result<Vec<NodeNumber>, PlacementError> {
        let nodes = self.node_numbers()?;
        let mut turn = nodes.iter().copied().cycle();
        let mut seen = std::collections::HashSet::new();
        let mut places = Vec::with_capacity(self.pods.len());
        for pod in &self.pods {
            if !seen.insert(&pod.name) {
                return Err(PlacementError::Twice {
                    pod: pod.name.clone(),
                });
            }
            let place = match &pod.node {
                Some(name) => NodeNumber::from_name(name).filter(|number| nodes.contains(number)),
                None => turn.next(),
            };
            places.push(place.ok_or_else(|| PlacementError::NoSuchNode {
                pod: pod.name.clone(),
                node: pod.node.clone().unwrap_or_default(),
                nodes: self.nodes,
            })?);
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::topology::tests::pod;

    fn plan(nodes: usize, pods: Vec<Pod>) -> Plan {
        Plan {
            nodes,
            ..Plan::new(Wiring::Routed, pods)
        }
    }

    fn on(mut pod: Pod, node: &str) -> Pod {
        pod.node = Some(node.to_owned());
        pod
    }

    #[test]
    fn pods_go_round_robin_unless_they_name_a_node() {
        let pods = vec![
            pod("a", "1"),
            on(pod("a", "2"), "node3"),
            pod("a", "3"),
            pod("a", "4"),
            pod("a", "5"),
        ];
        let places: Vec<_> = plan(3, pods)
            .place()
            .unwrap()
            .into_iter()
            .map(NodeNumber::get)
            .collect();
        assert_eq!(places, [1, 3, 2, 3, 1]);
    }

    #[test]
    fn a_node_that_is_not_there_is_named_in_the_error() {
        let error = plan(2, vec![on(pod("a", "1"), "node3")]).place().unwrap_err();
        assert!(
            error.to_string().contains("pod a/1 asks for node \"node3\""),
            "{error}"
        );
    }

    #[test]
    fn impossible_plans_are_refused() {
        assert!(matches!(
            plan(0, vec![]).place(),
            Err(PlacementError::NodeCount { wanted: 0 })
        ));
        assert!(matches!(
            plan(251, vec![]).place(),
            Err(PlacementError::NodeCount { .. })
        ));
        assert!(matches!(
            plan(usize::MAX, vec![]).place(),
            Err(PlacementError::NodeCount { .. })
        ));
        let twice = plan(2, vec![pod("a", "1"), pod("a", "1")]).place();
        assert!(matches!(twice, Err(PlacementError::Twice { .. })));
    }
}
