//! What the cluster is: pods, namespaces, nodes and policies, as snapshots with generations. The door for Kubernetes types.

mod model;

pub use model::{
    ContainerPort, Namespace, Node, ObjectName, Phase, Place, Pod, Problem, Snapshot, SourcedPolicy,
};
