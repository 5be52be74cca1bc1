//! The objects a manifest may hold, and their names.

use std::fmt;

use super::{
    AdminKind, EndpointSlice, Namespace, Node, ObjectName, Pod, Service, SourcedAdminPolicy, SourcedPolicy,
};

/// An object that policies or packets depend on.
#[derive(Clone, Debug)]
pub enum Object {
    /// A namespace.
    Namespace(Namespace),
    /// A pod.
    Pod(Pod),
    /// A node.
    Node(Node),
    /// A NetworkPolicy v1.
    Policy(SourcedPolicy),
    /// A policy of the cluster's administrators.
    Admin(SourcedAdminPolicy),
    /// A Service.
    Service(Service),
    /// A part of a Service's endpoints.
    EndpointSlice(EndpointSlice),
}

/// The kinds that are taken; everything else in a manifest is only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `v1` Namespace.
    Namespace,
    /// `v1` Pod.
    Pod,
    /// `v1` Node.
    Node,
    /// `networking.k8s.io/v1` NetworkPolicy.
    NetworkPolicy,
    /// One of the three kinds of `policy.networking.k8s.io`.
    AdminPolicy(AdminKind),
    /// `v1` Service.
    Service,
    /// `discovery.k8s.io/v1` EndpointSlice.
    EndpointSlice,
}

/// What makes an object unique in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace, for kinds that live in one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Object {
    /// Its kind and name.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        let in_namespace = |kind, name: ObjectName| ObjectKey {
            kind,
            namespace: Some(name.namespace),
            name: name.name,
        };
        let cluster_wide = |kind, name: &str| ObjectKey {
            kind,
            namespace: None,
            name: name.to_owned(),
        };
        match self {
            Self::Namespace(it) => cluster_wide(Kind::Namespace, &it.name),
            Self::Node(it) => cluster_wide(Kind::Node, &it.name),
            Self::Admin(it) => cluster_wide(Kind::AdminPolicy(it.object.kind), &it.object.name),
            Self::Pod(it) => in_namespace(Kind::Pod, it.name.clone()),
            Self::Policy(it) => in_namespace(Kind::NetworkPolicy, it.name()),
            Self::Service(it) => in_namespace(Kind::Service, it.name.clone()),
            Self::EndpointSlice(it) => in_namespace(Kind::EndpointSlice, it.name.clone()),
        }
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Namespace,
        Self::Pod,
        Self::Node,
        Self::NetworkPolicy,
        Self::AdminPolicy(AdminKind::AdminNetworkPolicy),
        Self::AdminPolicy(AdminKind::BaselineAdminNetworkPolicy),
        Self::AdminPolicy(AdminKind::ClusterNetworkPolicy),
        Self::Service,
        Self::EndpointSlice,
    ];

    /// Whether objects of the kind live in a namespace.
    #[must_use]
    pub const fn is_namespaced(self) -> bool {
        match self {
            Self::Pod | Self::NetworkPolicy | Self::Service | Self::EndpointSlice => true,
            Self::Namespace | Self::Node | Self::AdminPolicy(_) => false,
        }
    }

    /// As objects spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Pod => "Pod",
            Self::Node => "Node",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::AdminPolicy(kind) => kind.as_str(),
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
        }
    }

    /// The version that is taken of it, as objects spell it.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Namespace | Self::Pod | Self::Node | Self::Service => "v1",
            Self::NetworkPolicy => "networking.k8s.io/v1",
            Self::AdminPolicy(kind) => kind.api_version(),
            Self::EndpointSlice => "discovery.k8s.io/v1",
        }
    }

    /// The kind that an object calls itself; `None` where it does not matter here.
    pub(super) fn named(api_version: &str, kind: &str) -> Option<Self> {
        Self::spelled(kind).filter(|it| it.api_version() == api_version)
    }

    /// The version that is taken of a kind of policies by this name, for what comes with another.
    pub(super) fn expected_version(kind: &str) -> Option<&'static str> {
        Self::spelled(kind)
            .filter(|it| matches!(it, Self::NetworkPolicy | Self::AdminPolicy(_)))
            .map(Self::api_version)
    }

    fn spelled(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}
