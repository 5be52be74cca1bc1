//! The fields of Services and EndpointSlices that the model takes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::schema::{Metadata, StatusIp};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServiceManifest {
    pub(super) metadata: Metadata,
    pub(super) spec: Option<ServiceSpec>,
    pub(super) status: Option<ServiceStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ServiceSpec {
    pub(super) r#type: Option<String>,
    #[serde(rename = "clusterIP")]
    pub(super) cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs")]
    pub(super) cluster_ips: Option<Vec<String>>,
    #[serde(rename = "externalIPs")]
    pub(super) external_ips: Option<Vec<String>>,
    pub(super) external_traffic_policy: Option<String>,
    pub(super) selector: Option<BTreeMap<String, String>>,
    pub(super) ports: Option<Vec<ServicePortEntry>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ServicePortEntry {
    pub(super) name: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) port: Option<i64>,
    pub(super) target_port: Option<Target>,
    pub(super) node_port: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Target {
    Number(i64),
    Name(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ServiceStatus {
    pub(super) load_balancer: Option<LoadBalancer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LoadBalancer {
    pub(super) ingress: Option<Vec<StatusIp>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SliceManifest {
    pub(super) metadata: Metadata,
    pub(super) ports: Option<Vec<SlicePort>>,
    pub(super) endpoints: Option<Vec<SliceEndpoint>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SlicePort {
    pub(super) name: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) port: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SliceEndpoint {
    pub(super) addresses: Option<Vec<String>>,
    pub(super) conditions: Option<Conditions>,
    pub(super) target_ref: Option<TargetRef>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Conditions {
    pub(super) ready: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TargetRef {
    pub(super) kind: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
}
