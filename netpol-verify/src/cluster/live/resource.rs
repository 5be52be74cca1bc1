//! The resources that are read: where each lives, and what it costs when it may not be read.

use crate::cluster::{AdminKind, Kind};

/// What an answer lacks without a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// There is no answer without it.
    Required,
    /// Part of every cluster, and an answer without it is possible; the text says what it lacks.
    Useful(&'static str),
    /// As `Useful`, and only clusters that installed it serve it.
    Served(&'static str),
}

/// One resource of the API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resource {
    /// Empty for the core group.
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    /// What its objects are.
    pub(super) object: Kind,
    /// How they spell it.
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) need: Need,
}

/// The group of the policies that a cluster's administrator writes.
pub(super) const ADMIN_POLICIES: &str = "policy.networking.k8s.io";

const NODES: &str = "a node's own traffic to its pods, and which pods share a node's address, cannot be told";
const SERVICES: &str = "traffic to a Service's address cannot be followed to its pods";
const SLICES: &str = "which pods stand behind a Service cannot be told";
const ADMIN: &str =
    "policies of this kind may decide before or after NetworkPolicies, and the answer does not know them";

/// All of them, the required first: without those there is no need to ask for more.
pub(super) const RESOURCES: [Resource; 9] = [
    row("", "v1", Kind::Namespace, "namespaces", Need::Required),
    row("", "v1", Kind::Pod, "pods", Need::Required),
    row(
        "networking.k8s.io",
        "v1",
        Kind::NetworkPolicy,
        "networkpolicies",
        Need::Required,
    ),
    row("", "v1", Kind::Node, "nodes", Need::Useful(NODES)),
    row("", "v1", Kind::Service, "services", Need::Useful(SERVICES)),
    row(
        "discovery.k8s.io",
        "v1",
        Kind::EndpointSlice,
        "endpointslices",
        Need::Useful(SLICES),
    ),
    row(
        ADMIN_POLICIES,
        "v1alpha1",
        Kind::AdminPolicy(AdminKind::AdminNetworkPolicy),
        "adminnetworkpolicies",
        Need::Served(ADMIN),
    ),
    row(
        ADMIN_POLICIES,
        "v1alpha1",
        Kind::AdminPolicy(AdminKind::BaselineAdminNetworkPolicy),
        "baselineadminnetworkpolicies",
        Need::Served(ADMIN),
    ),
    row(
        ADMIN_POLICIES,
        "v1alpha2",
        Kind::AdminPolicy(AdminKind::ClusterNetworkPolicy),
        "clusternetworkpolicies",
        Need::Served(ADMIN),
    ),
];

/// A resource that reading a cluster needs, for who says what a right is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource.
    pub resource: &'static str,
    /// What an answer lacks without it; `None` where there is no answer without it.
    pub cost: Option<&'static str>,
    /// Whether only clusters that installed it serve it.
    pub is_optional: bool,
}

/// All that reading a cluster needs.
pub fn needed() -> impl Iterator<Item = Needed> {
    RESOURCES.iter().map(|resource| Needed {
        group: resource.group,
        resource: resource.plural,
        cost: Some(resource.cost()).filter(|cost| !cost.is_empty()),
        is_optional: matches!(resource.need, Need::Served(_)),
    })
}

const fn row(
    group: &'static str,
    version: &'static str,
    object: Kind,
    plural: &'static str,
    need: Need,
) -> Resource {
    Resource {
        group,
        version,
        object,
        kind: object.as_str(),
        plural,
        need,
    }
}

impl Resource {
    /// The resource of a kind.
    pub(super) fn of(kind: Kind) -> Option<&'static Self> {
        RESOURCES.iter().find(|resource| resource.object == kind)
    }

    /// `networking.k8s.io/v1`, as objects spell it.
    pub(super) const fn api_version(&self) -> &'static str {
        self.object.api_version()
    }

    /// The path that lists it in all namespaces.
    pub(super) fn path(&self) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        format!("/{root}/{}/{}", self.api_version(), self.plural)
    }

    /// What is lost without it; nothing for a required one.
    pub(super) const fn cost(&self) -> &'static str {
        match self.need {
            Need::Required => "",
            Need::Useful(cost) | Need::Served(cost) => cost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_gives_what_the_door_of_manifests_takes() {
        for resource in &RESOURCES {
            let spelled = match resource.group {
                "" => resource.version.to_owned(),
                group => format!("{group}/{}", resource.version),
            };
            assert_eq!(spelled, resource.api_version(), "{}", resource.plural);
            assert_eq!(Kind::named(&spelled, resource.kind), Some(resource.object));
        }
    }
}
