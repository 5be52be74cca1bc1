//! A parsed document to an object of the model: types checked, names checked, the rest left out.

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use k8s_openapi::{api::networking::v1::NetworkPolicy, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    ContainerPort, Namespace, Node, Object, ObjectName, Phase, Place, Pod, Problem, SourcedPolicy,
    convert_admin, convert_service,
    dns_name::{is_dns_label, is_dns_subdomain},
    manifest::Source,
    nulls,
    object::Kind,
    path::FieldPath,
    schema::{Container, Manifest, Metadata, NodeAddress, PortEntry, StatusIp},
    workload,
};

/// The label the API server puts on every namespace, with the namespace's name (R9).
pub(crate) const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// A namespace as the API server stores it: its name is always among its labels.
pub(crate) fn namespace(name: &str, mut labels: BTreeMap<String, String>) -> Namespace {
    labels.insert(NAMESPACE_NAME_LABEL.to_owned(), name.to_owned());
    Namespace {
        name: name.to_owned(),
        labels,
    }
}

/// Converts one object of a kind that is taken; `None` means a problem says why it was left out.
pub(crate) fn object(
    kind: Kind,
    mut value: Value,
    source: &Source<'_>,
    out: &mut Vec<Problem>,
) -> Option<Object> {
    let mut report = Report {
        kind,
        name: loose_name(kind, &value, source),
        part: FieldPath::default(),
        source,
        out,
    };
    // A custom resource's schema refuses nulls instead.
    if !matches!(kind, Kind::AdminPolicy(_)) {
        nulls::filled(&mut value);
    }
    match kind {
        Kind::NetworkPolicy => report.policy(value),
        Kind::AdminPolicy(kind) => convert_admin::object(kind, value, &mut report),
        Kind::Service => convert_service::service(value, &mut report),
        Kind::EndpointSlice => convert_service::slice(value, &mut report),
        Kind::Namespace | Kind::Pod | Kind::Node => {
            let manifest: Manifest = report.typed(value)?;
            report.slim(manifest)
        }
    }
}

/// The pod that a workload's template stands for.
pub(crate) fn template(
    workload: &str,
    path: &str,
    mut value: Value,
    source: &Source<'_>,
    out: &mut Vec<Problem>,
) -> Option<workload::Template> {
    nulls::filled(&mut value);
    let mut report = Report {
        kind: Kind::Pod,
        name: loose_name(Kind::Pod, &value, source).map(|name| format!("{name} of its {workload}")),
        part: FieldPath::default(),
        source,
        out,
    };
    workload::template(workload, path, value, &mut report)
}

/// Gathers problems of one object.
pub(super) struct Report<'a> {
    kind: Kind,
    name: Option<String>,
    /// Where in the object paths begin: at its top, or at a workload's template.
    part: FieldPath,
    source: &'a Source<'a>,
    out: &'a mut Vec<Problem>,
}

impl Report<'_> {
    pub(super) fn problem(&mut self, path: &FieldPath, message: impl Into<String>) {
        let path = self.part.then(path);
        let problem = self.source.problem(Some(self.object()), &path, message.into());
        self.out.push(problem);
    }

    /// From here on paths begin at this part of the object.
    pub(super) fn within(&mut self, part: FieldPath) {
        self.part = part;
    }

    /// A problem that makes the object as good as absent.
    pub(super) fn refuse(&mut self, path: &FieldPath, message: impl fmt::Display) {
        self.problem(
            path,
            format!("{message}; the object is left out, as the API server would refuse it"),
        );
    }

    /// A problem of the whole object that is told only if it comes to that.
    pub(super) fn made(&self, message: &str) -> Problem {
        self.source
            .problem(Some(self.object()), &FieldPath::default(), message.to_owned())
    }

    pub(super) fn place(&self) -> Place {
        self.source.place()
    }

    fn object(&self) -> String {
        match &self.name {
            Some(name) => format!("{} {name}", self.kind),
            None => self.kind.to_string(),
        }
    }

    /// Reads a typed object; the path of the first wrong type becomes a problem.
    pub(super) fn typed<T: DeserializeOwned>(&mut self, value: Value) -> Option<T> {
        match serde_path_to_error::deserialize(value) {
            Ok(typed) => Some(typed),
            Err(error) => {
                let path = FieldPath::from(error.path());
                let message = error.inner().to_string();
                // YAML 1.1, which kubectl reads too, takes these words for truth values.
                let hint = if message.contains("type: boolean") {
                    " (quote y, n, yes, no, on, off)"
                } else {
                    ""
                };
                self.refuse(&path, format!("{message}{hint}"));
                None
            }
        }
    }

    fn slim(&mut self, mut manifest: Manifest) -> Option<Object> {
        let mut metadata = manifest.metadata.take().unwrap_or_default();
        let labels = metadata.labels.take().unwrap_or_default();
        let name = self.checked_name(metadata.name.take())?;
        match self.kind {
            Kind::Namespace => Some(Object::Namespace(namespace(&name, labels))),
            Kind::Node => Some(Object::Node(Node {
                name,
                addresses: self.node_addresses(manifest.status.unwrap_or_default().addresses),
                labels,
            })),
            _ => {
                let namespace = self.checked_namespace(metadata.namespace.clone())?;
                manifest.metadata = Some(Metadata {
                    labels: Some(labels),
                    ..metadata
                });
                Some(Object::Pod(self.pod(ObjectName::new(namespace, name), manifest)))
            }
        }
    }

    /// The pod that a manifest, or a workload's template, describes.
    pub(super) fn pod(&mut self, name: ObjectName, manifest: Manifest) -> Pod {
        let metadata = manifest.metadata.unwrap_or_default();
        let spec = manifest.spec.unwrap_or_default();
        let status = manifest.status.unwrap_or_default();
        let labels = metadata.labels.unwrap_or_default();
        Pod {
            name,
            uid: metadata.uid,
            workload: workload::of_pod(metadata.owner_references.as_deref(), &labels),
            labels,
            node: spec.node_name.filter(|node| !node.is_empty()),
            ips: self.pod_addresses(status.pod_ips, status.pod_ip),
            host_network: spec.host_network.unwrap_or(false),
            phase: self.phase(status.phase),
            ports: self.ports(spec.containers, spec.init_containers),
        }
    }

    fn policy(&mut self, value: Value) -> Option<Object> {
        let spec = value.get("spec").cloned();
        let mut object: NetworkPolicy = self.typed(value)?;
        let name = self.checked_name(object.metadata.name.take())?;
        let namespace = self.checked_namespace(object.metadata.namespace.take())?;
        let stored = object
            .spec
            .as_ref()
            .and_then(|spec| serde_json::to_value(spec).ok());
        if let (Some(written), Some(stored)) = (spec, stored) {
            self.lost(&written, &stored, "NetworkPolicy v1");
        }
        // Trimmed to what names and selects it: managed fields and annotations of hostile size go nowhere.
        let metadata = std::mem::take(&mut object.metadata);
        object.metadata = ObjectMeta {
            name: Some(name),
            namespace: Some(namespace),
            labels: metadata.labels,
            uid: metadata.uid,
            ..ObjectMeta::default()
        };
        Some(Object::Policy(SourcedPolicy {
            object: Arc::new(object),
            place: self.source.place(),
        }))
    }

    /// A problem for each field of `spec` that was written and did not survive: `stored` is what `what` made of it.
    pub(super) fn lost(&mut self, written: &Value, stored: &Value, what: &str) {
        let mut lost = Vec::new();
        lost_fields(written, stored, &FieldPath::of("spec"), &mut lost);
        for path in lost {
            self.problem(
                &path,
                format!("{what} has no such field here; it is ignored, as the API server drops it: check its spelling"),
            );
        }
    }

    pub(super) fn checked_name(&mut self, name: Option<String>) -> Option<String> {
        let path = FieldPath::of("metadata.name");
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            self.problem(&path, "is missing; the object is left out: give it a name");
            return None;
        };
        let valid = if self.kind == Kind::Namespace {
            is_dns_label(&name)
        } else {
            is_dns_subdomain(&name)
        };
        if !valid {
            self.refuse(
                &path,
                format!("{name:?} is no valid name; expected lower case letters, digits, '-' and '.'"),
            );
            return None;
        }
        Some(name)
    }

    pub(super) fn checked_namespace(&mut self, namespace: Option<String>) -> Option<String> {
        let Some(namespace) = namespace.filter(|namespace| !namespace.is_empty()) else {
            return Some(self.source.namespace.to_owned());
        };
        if is_dns_label(&namespace) {
            return Some(namespace);
        }
        self.refuse(
            &FieldPath::of("metadata.namespace"),
            format!("{namespace:?} is no valid namespace; expected lower case letters, digits and '-'"),
        );
        None
    }

    fn phase(&mut self, phase: Option<String>) -> Phase {
        match phase.as_deref() {
            None | Some("" | "Running") => Phase::Running,
            Some("Pending") => Phase::Pending,
            Some("Succeeded") => Phase::Succeeded,
            Some("Failed") => Phase::Failed,
            Some("Unknown") => Phase::Unknown,
            Some(other) => {
                self.problem(&FieldPath::of("status.phase"), format!("{other:?} is no phase; expected Pending, Running, Succeeded, Failed or Unknown; taken as Unknown"));
                Phase::Unknown
            }
        }
    }

    /// `podIPs` hold both families (R30); `podIP` is the first of them, and all that old objects have.
    fn pod_addresses(&mut self, all: Option<Vec<StatusIp>>, first: Option<String>) -> Vec<IpAddr> {
        let list = FieldPath::of("status.podIPs");
        let written = all.unwrap_or_default().into_iter().enumerate();
        let texts: Vec<_> = written
            .map(|(index, entry)| (list.index(index).key("ip"), entry.ip))
            .chain([(FieldPath::of("status.podIP"), first)])
            .collect();
        let mut addresses = Vec::new();
        for (path, text) in texts {
            let Some(text) = text.filter(|text| !text.is_empty()) else {
                continue;
            };
            match text.parse::<IpAddr>() {
                Ok(address) if addresses.contains(&address.to_canonical()) => {}
                Ok(address) => addresses.push(address.to_canonical()),
                Err(_) => self.problem(&path, format!("{text:?} is no IP address; it is left out")),
            }
        }
        addresses
    }

    fn node_addresses(&mut self, entries: Option<Vec<NodeAddress>>) -> Vec<IpAddr> {
        let list = FieldPath::of("status.addresses");
        let mut addresses = Vec::new();
        for (index, entry) in entries.unwrap_or_default().into_iter().enumerate() {
            // Hostname, InternalDNS and ExternalDNS are names, not addresses.
            if !matches!(entry.r#type.as_deref(), None | Some("InternalIP" | "ExternalIP")) {
                continue;
            }
            let text = entry.address.unwrap_or_default();
            match text.parse::<IpAddr>() {
                Ok(address) => addresses.push(address.to_canonical()),
                Err(_) => {
                    self.problem(
                        &list.index(index).key("address"),
                        format!("{text:?} is no IP address; it is left out"),
                    );
                }
            }
        }
        addresses
    }

    /// Containers, and initContainers that stay (native sidecars, R18).
    fn ports(
        &mut self,
        containers: Option<Vec<Container>>,
        init: Option<Vec<Container>>,
    ) -> Vec<ContainerPort> {
        let containers = containers
            .unwrap_or_default()
            .into_iter()
            .enumerate()
            .map(|it| (false, it));
        let sidecars = init
            .unwrap_or_default()
            .into_iter()
            .enumerate()
            .filter(|(_, container)| container.restart_policy.as_deref() == Some("Always"))
            .map(|it| (true, it));
        let mut ports = Vec::new();
        for (is_sidecar, (index, container)) in containers.chain(sidecars) {
            let list = if is_sidecar {
                "initContainers"
            } else {
                "containers"
            };
            let path = FieldPath::of("spec").key(list).index(index).key("ports");
            for (entry_index, entry) in container.ports.unwrap_or_default().into_iter().enumerate() {
                let port = self.port(&path.index(entry_index), entry);
                ports.extend(port.map(|port| ContainerPort {
                    sidecar: is_sidecar,
                    ..port
                }));
            }
        }
        ports
    }

    fn port(&mut self, path: &FieldPath, entry: PortEntry) -> Option<ContainerPort> {
        let number = entry
            .container_port
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port > 0);
        let Some(port) = number else {
            let found = entry
                .container_port
                .map_or_else(|| "nothing".to_owned(), |port| port.to_string());
            self.problem(
                &path.key("containerPort"),
                format!("expected a port from 1 to 65535, found {found}; the port is left out"),
            );
            return None;
        };
        let protocol = match entry.protocol.as_deref() {
            None | Some("") => Ok(crate::net::Protocol::Tcp),
            Some(text) => api_protocol(text),
        };
        match protocol {
            Ok(protocol) => Some(ContainerPort {
                name: entry.name.filter(|name| !name.is_empty()),
                port,
                protocol,
                sidecar: false,
            }),
            Err(message) => {
                self.problem(&path.key("protocol"), format!("{message}; the port is left out"));
                None
            }
        }
    }
}

/// A protocol as the API spells it: upper case only.
pub(crate) fn api_protocol(text: &str) -> Result<crate::net::Protocol, String> {
    crate::net::Protocol::ALL
        .into_iter()
        .find(|protocol| protocol.as_str() == text)
        .ok_or_else(|| format!("{text:?} is no protocol of the API; expected TCP, UDP or SCTP"))
}

/// The name for messages, before anything was checked.
fn loose_name(kind: Kind, value: &Value, source: &Source<'_>) -> Option<String> {
    let metadata = value.get("metadata")?;
    let name = metadata.get("name")?.as_str()?;
    let namespace = metadata
        .get("namespace")
        .and_then(Value::as_str)
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or(source.namespace);
    Some(if kind.is_namespaced() {
        format!("{namespace}/{name}")
    } else {
        name.to_owned()
    })
}

/// The fields that were written and did not survive the typed object.
fn lost_fields(written: &Value, stored: &Value, path: &FieldPath, lost: &mut Vec<FieldPath>) {
    match (written, stored) {
        (Value::Object(written), Value::Object(stored)) => {
            for (key, value) in written.iter().filter(|(_, value)| !value.is_null()) {
                match stored.get(key) {
                    Some(kept) => lost_fields(value, kept, &path.key(key), lost),
                    None => lost.push(path.key(key)),
                }
            }
        }
        (Value::Array(written), Value::Array(stored)) => {
            for (index, (value, kept)) in written.iter().zip(stored).enumerate() {
                lost_fields(value, kept, &path.index(index), lost);
            }
        }
        _ => {}
    }
}
