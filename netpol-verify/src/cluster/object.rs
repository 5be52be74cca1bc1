//! The objects a manifest may hold, and their names.

use std::fmt;

use super::{Namespace, Node, Pod, SourcedPolicy};

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
        match self {
            Self::Namespace(it) => ObjectKey {
                kind: Kind::Namespace,
                namespace: None,
                name: it.name.clone(),
            },
            Self::Node(it) => ObjectKey {
                kind: Kind::Node,
                namespace: None,
                name: it.name.clone(),
            },
            Self::Pod(it) => ObjectKey {
                kind: Kind::Pod,
                namespace: Some(it.name.namespace.clone()),
                name: it.name.name.clone(),
            },
            Self::Policy(it) => {
                let name = it.name();
                ObjectKey {
                    kind: Kind::NetworkPolicy,
                    namespace: Some(name.namespace),
                    name: name.name,
                }
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespace => "Namespace",
            Self::Pod => "Pod",
            Self::Node => "Node",
            Self::NetworkPolicy => "NetworkPolicy",
        })
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
