//! The cluster's objects, trimmed to what policies and packets need.

use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf, str::FromStr, sync::Arc};

use k8s_openapi::api::networking::v1::NetworkPolicy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EndpointSlice, Service, SourcedAdminPolicy};
use crate::net::{Family, Protocol};

/// `namespace/name`. Two fields, never joined to make a key: ("ab","c") and ("a","bc") must not meet
/// (aws/aws-network-policy-agent#563).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// The namespace.
    pub namespace: String,
    /// The object's name in it.
    pub name: String,
}

/// The text is not `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not namespace/name")]
pub struct ParseObjectNameError(pub String);

impl ObjectName {
    /// A name from its two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for ObjectName {
    type Err = ParseObjectNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self::new(namespace, name))
            }
            _ => Err(ParseObjectNameError(text.to_owned())),
        }
    }
}

impl Serialize for ObjectName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for ObjectName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ObjectName".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "namespace/name", "pattern": "^[^/]+/[^/]+$" })
    }
}

/// A pod's phase as the API spells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Accepted, containers not all started; may have an address already and counts (R29).
    Pending,
    /// Bound and started.
    #[default]
    Running,
    /// All containers ended well; its address may be another pod's by now (R28).
    Succeeded,
    /// A container failed for good; as `Succeeded` (R28).
    Failed,
    /// The node does not answer.
    Unknown,
}

impl Phase {
    /// Whether the pod is over, so that it is neither subject nor peer (R28).
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// A port that a container (or native sidecar, R18) declares; only named ones matter to policies (R17).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContainerPort {
    /// The name policies may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The number, 1-65535.
    #[serde(rename = "containerPort")]
    pub port: u16,
    /// The protocol; TCP when the manifest is silent.
    #[serde(default)]
    pub protocol: Protocol,
    /// Whether a native sidecar declares it: to policies that is the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sidecar: bool,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its name.
    pub name: ObjectName,
    /// `metadata.uid`; absent in manifests.
    pub uid: Option<String>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `spec.nodeName`.
    pub node: Option<String>,
    /// `status.podIPs`, both families.
    pub ips: Vec<IpAddr>,
    /// `spec.hostNetwork` (R24).
    pub host_network: bool,
    /// `status.phase`.
    pub phase: Phase,
    /// The ports of containers and native sidecars.
    pub ports: Vec<ContainerPort>,
    /// The workload that makes such pods; of a pod that nobody controls, none.
    #[serde(default)]
    pub workload: Option<Workload>,
}

/// What controls a pod: `Deployment web`. Pods of one workload are shown as one where a reader asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Workload {
    /// Its kind.
    pub kind: String,
    /// Its name, in the pod's namespace.
    pub name: String,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl Pod {
    /// Whether a pod of the same name is surely not this one: a pod that was made anew has another uid.
    #[must_use]
    pub fn is_another(&self, other: &Self) -> bool {
        matches!((&self.uid, &other.uid), (Some(one), Some(other)) if one != other)
    }

    /// Its address in a family, if it has one.
    #[must_use]
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        self.ips
            .iter()
            .map(IpAddr::to_canonical)
            .find(|address| Family::of(*address) == family)
    }
}

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its labels; `kubernetes.io/metadata.name` is always among them, as the API server sets it (R9).
    pub labels: BTreeMap<String, String>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// All its addresses.
    pub addresses: Vec<IpAddr>,
    /// `metadata.labels`, by which ClusterNetworkPolicy's `nodes` peers select.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Where an object came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The file, or `-` for standard input, or `cluster`.
    #[serde(serialize_with = "lossy")]
    #[schemars(with = "String")]
    pub file: PathBuf,
    /// The line the object or error is at, from 1; 0 when there is none.
    pub line: u64,
}

/// A path that is not UTF-8 must not keep a cluster from being saved; a place is only ever shown.
fn lossy<S: serde::Serializer>(file: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&file.to_string_lossy())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}", self.file.display())
        } else {
            write!(f, "{}:{}", self.file.display(), self.line)
        }
    }
}

/// A policy and where it was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourcedPolicy {
    /// The object as the API knows it.
    #[serde(with = "shared")]
    pub object: Arc<NetworkPolicy>,
    /// Its place.
    pub place: Place,
}

impl SourcedPolicy {
    /// The policy's name; its namespace is `default` when the object has none, as for kubectl.
    #[must_use]
    pub fn name(&self) -> ObjectName {
        let metadata = &self.object.metadata;
        ObjectName::new(
            metadata
                .namespace
                .as_deref()
                .filter(|namespace| !namespace.is_empty())
                .unwrap_or("default"),
            metadata.name.as_deref().unwrap_or_default(),
        )
    }
}

/// Shared objects are written as themselves: serde's `rc` feature stays off.
pub(super) mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::cluster) fn serialize<T: Serialize, S: Serializer>(
        object: &Arc<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        object.as_ref().serialize(serializer)
    }

    pub(in crate::cluster) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(deserializer).map(Arc::new)
    }
}

/// Something in the input that could not be taken as it stands; the rest is still judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The object, when it got that far: `NetworkPolicy netpol-demo/default-deny-ingress`.
    pub object: Option<String>,
    /// The path in it: `spec.ingress[0].from[1].ipBlock.cidr`.
    pub path: Option<String>,
    /// What is wrong, what was expected, and what was done instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if let Some(path) = &self.path {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// The cluster at one moment. A change makes a new snapshot with a higher generation.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Rises with every change.
    pub generation: u64,
    /// All namespaces.
    pub namespaces: Vec<Namespace>,
    /// All pods.
    pub pods: Vec<Pod>,
    /// All nodes.
    pub nodes: Vec<Node>,
    /// All NetworkPolicies.
    pub policies: Vec<SourcedPolicy>,
    /// All policies of the cluster's administrators, of every tier.
    pub admin: Vec<SourcedAdminPolicy>,
    /// All Services.
    pub services: Vec<Service>,
    /// All EndpointSlices.
    pub slices: Vec<EndpointSlice>,
}

impl Snapshot {
    /// The pod of that name.
    #[must_use]
    pub fn pod(&self, name: &ObjectName) -> Option<&Pod> {
        self.pods.iter().find(|pod| pod.name == *name)
    }

    /// The namespace of that name.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| namespace.name == name)
    }
}
