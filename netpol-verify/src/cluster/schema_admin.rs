//! The fields of `policy.networking.k8s.io` objects, as they are written.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::{Deserialize, Serialize};

use super::schema::Metadata;

/// An AdminNetworkPolicy or BaselineAdminNetworkPolicy (`P` is [`AnpPort`]), or a ClusterNetworkPolicy ([`CnpProtocol`]).
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "R: Deserialize<'de>"))]
pub(super) struct AdminManifest<R> {
    #[serde(default)]
    pub(super) metadata: Metadata,
    #[serde(default = "Option::default")]
    pub(super) spec: Option<AdminSpec<R>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "R: Deserialize<'de>"))]
pub(super) struct AdminSpec<R> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) priority: Option<i64>,
    #[serde(default)]
    pub(super) subject: Subject,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub(super) ingress: Option<Vec<R>>,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub(super) egress: Option<Vec<R>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Subject {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespaces: Option<LabelSelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pods: Option<NamespacedPod>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NamespacedPod {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace_selector: Option<LabelSelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pod_selector: Option<LabelSelector>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Peer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespaces: Option<LabelSelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pods: Option<NamespacedPod>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nodes: Option<LabelSelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) networks: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) domain_names: Option<Vec<String>>,
}

/// A rule of v1alpha1.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct AnpRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<Vec<Peer>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<Vec<Peer>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ports: Option<Vec<AnpPort>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AnpPort {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port_number: Option<PortNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port_range: Option<ProtocolRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) named_port: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct PortNumber {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol: Option<String>,
    pub(super) port: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ProtocolRange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol: Option<String>,
    pub(super) start: i64,
    pub(super) end: i64,
}

/// A rule of v1alpha2.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct CnpRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<Vec<Peer>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<Vec<Peer>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocols: Option<Vec<CnpProtocol>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CnpProtocol {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tcp: Option<CnpPorts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) udp: Option<CnpPorts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sctp: Option<CnpPorts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) destination_named_port: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CnpPorts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) destination_port: Option<CnpPort>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct CnpPort {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) range: Option<CnpRange>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct CnpRange {
    pub(super) start: i64,
    pub(super) end: i64,
}
