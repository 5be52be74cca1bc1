//! What the cluster is: pods, namespaces, nodes and policies, as snapshots with generations. The door for Kubernetes types.

mod admin;
pub(crate) mod cidr;
mod convert;
mod convert_admin;
mod convert_service;
mod dns_name;
pub(crate) mod document;
mod live;
mod locator;
mod manifest;
mod model;
mod nulls;
mod object;
pub(crate) mod path;
mod ports;
mod schema;
mod schema_admin;
mod schema_service;
mod service;
mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_kinds;
mod workload;

pub use admin::{
    Action, AdminKind, AdminPeer, AdminPods, AdminPolicy, AdminPort, AdminRule, SourcedAdminPolicy, Tier,
};
pub(crate) use convert::{NAMESPACE_NAME_LABEL, api_protocol};
pub(crate) use dns_name::is_dns_subdomain;
pub use live::{
    Access, Denied, Followed, Lines, LiveCluster, LiveError, Needed, Standing, Told, Watching, needed,
};
pub use locator::Locator;
pub use manifest::Loaded;
pub use model::{
    ContainerPort, Namespace, Node, ObjectName, ParseObjectNameError, Phase, Place, Pod, Problem, Snapshot,
    SourcedPolicy, Workload,
};
pub use object::{Kind, Object, ObjectKey};
pub use service::{Backend, Endpoint, EndpointPort, EndpointSlice, Service, ServicePort, TargetPort};
pub use state::{Change, ClusterState};
