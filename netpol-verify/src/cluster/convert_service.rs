//! Services and EndpointSlices to the model.

use std::net::IpAddr;

use serde_json::Value;

use super::{
    Endpoint, EndpointPort, EndpointSlice, Object, ObjectName, Service, ServicePort, TargetPort,
    convert::{Report, api_protocol},
    path::FieldPath,
    schema_service::{ServiceManifest, ServicePortEntry, SliceManifest, Target},
};
use crate::net::Protocol;

/// The label by which a slice names its Service (discovery.k8s.io/v1).
const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// Converts a Service; `None` for one that is only another name (`ExternalName`), behind which no pod stands.
pub(super) fn service(value: Value, report: &mut Report<'_>) -> Option<Object> {
    let manifest: ServiceManifest = report.typed(value)?;
    let name = report.checked_name(manifest.metadata.name)?;
    let namespace = report.checked_namespace(manifest.metadata.namespace)?;
    let spec = manifest.spec.unwrap_or_default();
    if spec.r#type.as_deref() == Some("ExternalName") {
        return None;
    }
    let of_spec = FieldPath::of("spec");
    let mut texts: Vec<String> = spec.cluster_ips.unwrap_or_default();
    texts.extend(spec.cluster_ip);
    let headless = texts.iter().any(|text| text == "None");
    texts.retain(|text| !text.is_empty() && text != "None");
    let cluster_ips = addresses(texts, &of_spec.key("clusterIPs"), report);
    let balancer = manifest
        .status
        .and_then(|status| status.load_balancer)
        .and_then(|balancer| balancer.ingress)
        .unwrap_or_default();
    let mut texts = spec.external_ips.unwrap_or_default();
    texts.extend(balancer.into_iter().filter_map(|one| one.ip));
    let external_ips = addresses(texts, &of_spec.key("externalIPs"), report);
    let path = of_spec.key("ports");
    let ports = spec
        .ports
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .filter_map(|(index, entry)| port(entry, &path.index(index), report))
        .collect();
    Some(Object::Service(Service {
        name: ObjectName::new(namespace, name),
        headless,
        cluster_ips,
        external_ips,
        keeps_client_address: spec.external_traffic_policy.as_deref() == Some("Local"),
        selector: spec.selector.unwrap_or_default(),
        ports,
    }))
}

/// Converts an EndpointSlice.
pub(super) fn slice(value: Value, report: &mut Report<'_>) -> Option<Object> {
    let manifest: SliceManifest = report.typed(value)?;
    let mut labels = manifest.metadata.labels.unwrap_or_default();
    let name = report.checked_name(manifest.metadata.name)?;
    let namespace = report.checked_namespace(manifest.metadata.namespace)?;
    let path = FieldPath::of("ports");
    let mut ports = Vec::new();
    for (index, entry) in manifest.ports.unwrap_or_default().into_iter().enumerate() {
        let Some(protocol) = protocol(entry.protocol, &path.index(index), report) else {
            continue;
        };
        ports.push(EndpointPort {
            name: entry.name.filter(|name| !name.is_empty()),
            protocol,
            port: entry
                .port
                .and_then(|port| number(port, &path.index(index).key("port"), report)),
        });
    }
    let path = FieldPath::of("endpoints");
    let mut endpoints = Vec::new();
    for (index, entry) in manifest.endpoints.unwrap_or_default().into_iter().enumerate() {
        let pod = entry
            .target_ref
            .filter(|target| target.kind.as_deref() == Some("Pod"))
            .and_then(|target| {
                let in_namespace = target.namespace.unwrap_or_else(|| namespace.clone());
                target.name.map(|name| ObjectName::new(in_namespace, name))
            });
        let texts = entry.addresses.unwrap_or_default();
        endpoints.push(Endpoint {
            addresses: addresses(texts, &path.index(index).key("addresses"), report),
            ready: entry
                .conditions
                .and_then(|conditions| conditions.ready)
                .unwrap_or(true),
            pod,
        });
    }
    Some(Object::EndpointSlice(EndpointSlice {
        name: ObjectName::new(namespace, name),
        service: labels.remove(SERVICE_NAME_LABEL),
        ports,
        endpoints,
    }))
}

fn addresses(texts: Vec<String>, path: &FieldPath, report: &mut Report<'_>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for text in texts {
        match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(address) if addresses.contains(&address) => {}
            Ok(address) => addresses.push(address),
            Err(_) => report.problem(path, format!("{text:?} is no IP address; it is left out")),
        }
    }
    addresses
}

fn port(entry: ServicePortEntry, path: &FieldPath, report: &mut Report<'_>) -> Option<ServicePort> {
    let protocol = protocol(entry.protocol, path, report)?;
    let port = number(entry.port.unwrap_or_default(), &path.key("port"), report)?;
    let target = match entry.target_port {
        None => TargetPort::Number(port),
        Some(Target::Number(0)) => TargetPort::Number(port),
        Some(Target::Number(target)) => TargetPort::Number(number(target, &path.key("targetPort"), report)?),
        Some(Target::Name(name)) => TargetPort::Name(name),
    };
    Some(ServicePort {
        name: entry.name.filter(|name| !name.is_empty()),
        protocol,
        port,
        target,
        node_port: entry
            .node_port
            .filter(|port| *port != 0)
            .and_then(|port| number(port, &path.key("nodePort"), report)),
    })
}

fn protocol(text: Option<String>, path: &FieldPath, report: &mut Report<'_>) -> Option<Protocol> {
    match text.as_deref() {
        None | Some("") => Some(Protocol::Tcp),
        Some(text) => match api_protocol(text) {
            Ok(protocol) => Some(protocol),
            Err(message) => {
                report.problem(&path.key("protocol"), format!("{message}; the port is left out"));
                None
            }
        },
    }
}

fn number(port: i64, path: &FieldPath, report: &mut Report<'_>) -> Option<u16> {
    let number = u16::try_from(port).ok().filter(|port| *port > 0);
    if number.is_none() {
        report.problem(
            path,
            format!("expected a port from 1 to 65535, found {port}; the port is left out"),
        );
    }
    number
}
