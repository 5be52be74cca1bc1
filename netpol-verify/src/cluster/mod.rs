//! What the cluster is: pods, namespaces, nodes and policies, as snapshots with generations. The door for Kubernetes types.

mod convert;
mod dns_name;
pub(crate) mod document;
mod live;
mod manifest;
mod model;
mod object;
pub(crate) mod path;
mod ports;
mod schema;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use convert::NAMESPACE_NAME_LABEL;
pub use live::{Access, Denied, LiveCluster, LiveError};
pub use manifest::Loaded;
pub use model::{
    ContainerPort, Namespace, Node, ObjectName, ParseObjectNameError, Phase, Place, Pod, Problem, Snapshot,
    SourcedPolicy,
};
pub use object::{Kind, Object, ObjectKey};
pub use state::{Change, ClusterState};
