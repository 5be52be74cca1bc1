//! The shape of a suite's files; a key that is not here is refused.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{cluster::ObjectName, finding::Expected, net::Family};

use super::model::Port;

/// `suite.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SuiteFile {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) title: String,
    pub(super) world: String,
    pub(super) ports: Vec<Port>,
    pub(super) features: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(super) manifests: BTreeMap<String, Value>,
    pub(super) cases: Vec<String>,
}

/// A file that `suite.yaml` lists under `cases`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CasesFile {
    pub(super) api_version: String,
    pub(super) kind: String,
    #[serde(default, rename = "anchors")]
    _anchors: Value,
    pub(super) cases: Vec<CaseEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseEntry {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) features: Vec<String>,
    #[serde(default = "yes")]
    pub(super) default: bool,
    pub(super) steps: Vec<StepEntry>,
}

const fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepEntry {
    #[serde(default)]
    pub(super) apply: Vec<Value>,
    #[serde(default)]
    pub(super) delete: Vec<String>,
    #[serde(default)]
    pub(super) restart: bool,
    #[serde(default)]
    pub(super) watched: bool,
    pub(super) expect: ExpectEntry,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectEntry {
    pub(super) ingress: BTreeMap<ObjectName, Vec<IngressLine>>,
    pub(super) egress: BTreeMap<ObjectName, Vec<EgressLine>>,
    #[serde(default)]
    pub(super) probes: Vec<ProbeEntry>,
    #[serde(default)]
    pub(super) problems: Vec<ProblemEntry>,
    pub(super) changes: Option<ChangesEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IngressLine {
    pub(super) from: Vec<ObjectName>,
    pub(super) ports: Option<Vec<Port>>,
    pub(super) family: Option<Family>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EgressLine {
    pub(super) to: Vec<ObjectName>,
    pub(super) ports: Option<Vec<Port>>,
    pub(super) family: Option<Family>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProbeEntry {
    /// A pod, or `Outside`.
    pub(super) from: String,
    /// A pod, `Service namespace/name`, `Node name` or `Outside`.
    pub(super) to: String,
    pub(super) port: Port,
    pub(super) family: Option<Family>,
    pub(super) expect: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProblemEntry {
    pub(super) object: String,
    pub(super) path: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangesEntry {
    #[serde(default)]
    pub(super) added: Vec<String>,
    #[serde(default)]
    pub(super) changed: Vec<String>,
    #[serde(default)]
    pub(super) removed: Vec<String>,
}
