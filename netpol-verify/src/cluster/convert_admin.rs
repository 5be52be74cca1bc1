//! `policy.networking.k8s.io` objects to the model: what the API server would refuse is left out whole, and said.

use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Action, AdminKind, AdminPeer, AdminPods, AdminPolicy, AdminPort, AdminRule, Object, SourcedAdminPolicy,
    Tier,
    cidr::parse_cidr,
    convert::{Report, api_protocol},
    path::FieldPath,
    schema_admin::{
        AdminManifest, AdminSpec, AnpPort, AnpRule, CnpPorts, CnpProtocol, CnpRule, NamespacedPod, Peer,
    },
};
use crate::net::Protocol;

/// Converts one object of the three kinds.
pub(super) fn object(kind: AdminKind, value: Value, report: &mut Report<'_>) -> Option<Object> {
    match kind {
        AdminKind::ClusterNetworkPolicy => written::<CnpRule>(kind, value, report),
        AdminKind::AdminNetworkPolicy | AdminKind::BaselineAdminNetworkPolicy => {
            written::<AnpRule>(kind, value, report)
        }
    }
}

/// What the rules of the two versions have in common.
trait Written: Serialize + DeserializeOwned {
    fn head(&self) -> (Option<&str>, Option<&str>);
    fn peers(&self) -> [Option<&[Peer]>; 2];
    /// The key of the ports, and how many there are.
    fn ports(&self) -> (&'static str, usize);
    /// Reads an entry; `Err` says which key and why.
    fn port(&self, index: usize) -> Result<AdminPort, (&'static str, String)>;
}

fn written<R>(kind: AdminKind, value: Value, report: &mut Report<'_>) -> Option<Object>
where
    R: Written + for<'de> Deserialize<'de>,
{
    let spec = value.get("spec").cloned();
    let manifest: AdminManifest<R> = report.typed(value)?;
    let name = report.checked_name(manifest.metadata.name)?;
    let Some(parsed) = manifest.spec else {
        report.refuse(&FieldPath::of("spec"), "is missing");
        return None;
    };
    if let (Some(spec), Ok(mut stored)) = (spec, serde_json::to_value(&parsed)) {
        drop_foreign(kind, &mut stored);
        report.lost(&spec, &stored, kind.as_str());
    }
    let (tier, priority) = place(kind, &name, &parsed, report)?;
    let subject = subject(&parsed, report)?;
    let mut sides = [Vec::new(), Vec::new()];
    for (side, (key, rules)) in sides
        .iter_mut()
        .zip([("ingress", &parsed.ingress), ("egress", &parsed.egress)])
    {
        let rules = rules.as_deref().unwrap_or_default();
        let path = FieldPath::of("spec").key(key);
        few_enough(rules.len(), kind.max_entries(), &path, report)?;
        for (index, rule) in rules.iter().enumerate() {
            side.push(self::rule(
                kind,
                rule,
                key == "egress",
                &path.index(index),
                report,
            )?);
        }
    }
    let [ingress, egress] = sides;
    Some(Object::Admin(SourcedAdminPolicy {
        object: Arc::new(AdminPolicy {
            kind,
            name,
            tier,
            priority,
            subject,
            ingress,
            egress,
        }),
        place: report.place(),
    }))
}

/// Takes out of what was read the fields that only another kind or direction has: one shape reads them all.
fn drop_foreign(kind: AdminKind, spec: &mut Value) {
    for (list, key) in [("ingress", "to"), ("egress", "from")] {
        let rules = spec.get_mut(list).and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
            rule.remove(key);
        }
    }
    let foreign: &[&str] = match kind {
        AdminKind::ClusterNetworkPolicy => &[],
        AdminKind::AdminNetworkPolicy => &["tier"],
        AdminKind::BaselineAdminNetworkPolicy => &["tier", "priority"],
    };
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|key, _| !foreign.contains(&key.as_str()));
    }
}

fn place<R>(
    kind: AdminKind,
    name: &str,
    spec: &AdminSpec<R>,
    report: &mut Report<'_>,
) -> Option<(Tier, u16)> {
    if kind == AdminKind::BaselineAdminNetworkPolicy {
        if name != "default" {
            report.refuse(
                &FieldPath::of("metadata.name"),
                "a BaselineAdminNetworkPolicy is named default, and a cluster has one",
            );
            return None;
        }
        return Some((Tier::Baseline, 1000));
    }
    let tier = match (kind, spec.tier.as_deref()) {
        (AdminKind::ClusterNetworkPolicy, Some("Baseline")) => Tier::Baseline,
        (AdminKind::ClusterNetworkPolicy, Some("Admin")) | (AdminKind::AdminNetworkPolicy, _) => Tier::Admin,
        (_, found) => {
            let found = found.map_or_else(|| "nothing".to_owned(), |tier| format!("{tier:?}"));
            report.refuse(
                &FieldPath::of("spec.tier"),
                format!("expected Admin or Baseline, found {found}"),
            );
            return None;
        }
    };
    let priority = spec
        .priority
        .and_then(|priority| u16::try_from(priority).ok())
        .filter(|priority| *priority <= 1000);
    if priority.is_none() {
        let found = spec
            .priority
            .map_or_else(|| "nothing".to_owned(), |it| it.to_string());
        report.refuse(
            &FieldPath::of("spec.priority"),
            format!("expected 0 to 1000, found {found}"),
        );
    }
    Some((tier, priority?))
}

fn subject<R>(spec: &AdminSpec<R>, report: &mut Report<'_>) -> Option<AdminPods> {
    match (&spec.subject.namespaces, &spec.subject.pods) {
        (Some(namespaces), None) => Some(AdminPods {
            namespaces: namespaces.clone(),
            ..AdminPods::everything()
        }),
        (None, Some(pods)) => Some(selected(pods)),
        (Some(_), Some(_)) | (None, None) => {
            report.refuse(
                &FieldPath::of("spec.subject"),
                "expected exactly one of namespaces and pods",
            );
            None
        }
    }
}

impl AdminPods {
    fn everything() -> Self {
        Self {
            namespaces: Default::default(),
            pods: Default::default(),
        }
    }
}

fn selected(pods: &NamespacedPod) -> AdminPods {
    AdminPods {
        namespaces: pods.namespace_selector.clone().unwrap_or_default(),
        pods: pods.pod_selector.clone().unwrap_or_default(),
    }
}

fn rule<R: Written>(
    kind: AdminKind,
    rule: &R,
    is_egress: bool,
    path: &FieldPath,
    report: &mut Report<'_>,
) -> Option<AdminRule> {
    let (name, action) = rule.head();
    let action = match action {
        Some("Deny") => Action::Deny,
        Some("Pass") if kind != AdminKind::BaselineAdminNetworkPolicy => Action::Pass,
        Some(word) if word == kind.accept() => Action::Accept,
        found => {
            let found = found.map_or_else(|| "nothing".to_owned(), |word| format!("{word:?}"));
            let accept = kind.accept();
            let expected = if kind == AdminKind::BaselineAdminNetworkPolicy {
                format!("{accept} or Deny")
            } else {
                format!("{accept}, Deny or Pass")
            };
            report.refuse(&path.key("action"), format!("expected {expected}, found {found}"));
            return None;
        }
    };
    let [from, to] = rule.peers();
    let (key, written) = if is_egress { ("to", to) } else { ("from", from) };
    let written = written.unwrap_or_default();
    if written.is_empty() {
        report.refuse(&path.key(key), "expected at least one peer");
        return None;
    }
    few_enough(written.len(), kind.max_entries(), &path.key(key), report)?;
    let path_of = path.key(key);
    let peers: Vec<AdminPeer> = written
        .iter()
        .enumerate()
        .map(|(index, peer)| self::peer(kind, peer, is_egress, action, &path_of.index(index), report))
        .collect();
    let (key, count) = rule.ports();
    let path_of = path.key(key);
    few_enough(count, kind.max_entries(), &path_of, report)?;
    let ports: Vec<AdminPort> = (0..count)
        .map(|index| {
            rule.port(index).unwrap_or_else(|(key, message)| {
                let path = path_of.index(index);
                let path = if key.is_empty() { path } else { path.key(key) };
                report.problem(&path, format!("{message}; {}", closed(action)));
                AdminPort::Unknown
            })
        })
        .collect();
    let is_by_address = |peer: &AdminPeer| {
        matches!(
            peer,
            AdminPeer::Nodes(_) | AdminPeer::Networks(_) | AdminPeer::DomainNames(_)
        )
    };
    if peers.iter().any(is_by_address) && ports.iter().any(|port| matches!(port, AdminPort::Named(_))) {
        report.refuse(
            &path_of,
            "a port's name goes with pods only: nodes, networks and domainNames declare none",
        );
        return None;
    }
    Some(AdminRule {
        name: name.map(str::to_owned),
        action,
        peers,
        ports,
    })
}

/// Whether a list is no longer than the CRD allows; an object with a longer one is refused.
fn few_enough(count: usize, most: usize, path: &FieldPath, report: &mut Report<'_>) -> Option<()> {
    if count <= most {
        return Some(());
    }
    report.refuse(path, format!("has {count} entries; the API takes {most} at most"));
    None
}

/// What the specification makes of a rule that cannot be read.
const fn closed(action: Action) -> &'static str {
    match action {
        Action::Accept => "the rule is read as closed: it matches nothing",
        Action::Deny | Action::Pass => "the rule is read as closed: it denies all",
    }
}

fn peer(
    kind: AdminKind,
    peer: &Peer,
    is_egress: bool,
    action: Action,
    path: &FieldPath,
    report: &mut Report<'_>,
) -> AdminPeer {
    let set = [
        peer.namespaces.is_some(),
        peer.pods.is_some(),
        peer.nodes.is_some(),
        peer.networks.is_some(),
        peer.domain_names.is_some(),
    ];
    let mut unknown = |message: String| {
        report.problem(path, format!("{message}; {}", closed(action)));
        AdminPeer::Unknown
    };
    if set.iter().filter(|is_set| **is_set).count() != 1 {
        return unknown("expected exactly one kind of peer that this version knows".to_owned());
    }
    match peer {
        Peer {
            namespaces: Some(namespaces),
            ..
        } => AdminPeer::Pods(AdminPods {
            namespaces: namespaces.clone(),
            ..AdminPods::everything()
        }),
        Peer { pods: Some(pods), .. } => AdminPeer::Pods(selected(pods)),
        _ if !is_egress => {
            unknown("nodes, networks and domainNames are peers of egress rules only".to_owned())
        }
        Peer {
            nodes: Some(nodes), ..
        } => AdminPeer::Nodes(nodes.clone()),
        Peer {
            networks: Some(networks),
            ..
        } => match networks.iter().find_map(|network| parse_cidr(network).err()) {
            _ if networks.is_empty() => unknown("networks is empty".to_owned()),
            Some(error) => unknown(error.to_string()),
            None => AdminPeer::Networks(networks.clone()),
        },
        Peer {
            domain_names: Some(names),
            ..
        } => {
            if kind == AdminKind::BaselineAdminNetworkPolicy {
                return unknown("a BaselineAdminNetworkPolicy has no domainNames".to_owned());
            }
            if action != Action::Accept {
                return unknown("domainNames go with the action that lets through only".to_owned());
            }
            report.problem(path, "domainNames are not judged: nothing here resolves them, so that what they may let through is left open");
            AdminPeer::DomainNames(names.clone())
        }
        _ => unknown("has no peer".to_owned()),
    }
}

type PortResult = Result<AdminPort, (&'static str, String)>;

fn number(key: &'static str, port: i64) -> Result<u16, (&'static str, String)> {
    u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| (key, format!("{port} is no port; expected 1 to 65535")))
}

fn protocol(key: &'static str, text: Option<&str>) -> Result<Protocol, (&'static str, String)> {
    match text {
        None | Some("") => Ok(Protocol::Tcp),
        Some(text) => api_protocol(text).map_err(|message| (key, message)),
    }
}

fn range(key: &'static str, protocol: Protocol, start: i64, end: i64) -> PortResult {
    let (first, last) = (number(key, start)?, number(key, end)?);
    if first < last {
        Ok(AdminPort::Range(protocol, first, last))
    } else {
        Err((
            key,
            format!("{first} to {last} is no range; start must lie before end"),
        ))
    }
}

impl Written for AnpRule {
    fn head(&self) -> (Option<&str>, Option<&str>) {
        (self.name.as_deref(), self.action.as_deref())
    }

    fn peers(&self) -> [Option<&[Peer]>; 2] {
        [self.from.as_deref(), self.to.as_deref()]
    }

    fn ports(&self) -> (&'static str, usize) {
        ("ports", self.ports.as_deref().unwrap_or_default().len())
    }

    fn port(&self, index: usize) -> PortResult {
        match self.ports.as_deref().unwrap_or_default().get(index) {
            Some(AnpPort {
                port_number: Some(it),
                port_range: None,
                named_port: None,
            }) => {
                let port = number("portNumber", it.port)?;
                let protocol = protocol("portNumber", it.protocol.as_deref())?;
                Ok(AdminPort::Range(protocol, port, port))
            }
            Some(AnpPort {
                port_number: None,
                port_range: Some(it),
                named_port: None,
            }) => range(
                "portRange",
                protocol("portRange", it.protocol.as_deref())?,
                it.start,
                it.end,
            ),
            Some(AnpPort {
                port_number: None,
                port_range: None,
                named_port: Some(name),
            }) => Ok(AdminPort::Named(name.clone())),
            Some(_) | None => Err((
                "",
                "expected exactly one of portNumber, portRange and namedPort".to_owned(),
            )),
        }
    }
}

impl Written for CnpRule {
    fn head(&self) -> (Option<&str>, Option<&str>) {
        (self.name.as_deref(), self.action.as_deref())
    }

    fn peers(&self) -> [Option<&[Peer]>; 2] {
        [self.from.as_deref(), self.to.as_deref()]
    }

    fn ports(&self) -> (&'static str, usize) {
        ("protocols", self.protocols.as_deref().unwrap_or_default().len())
    }

    fn port(&self, index: usize) -> PortResult {
        let of = |protocol, key, ports: &CnpPorts| match &ports.destination_port {
            None => Ok(AdminPort::All(protocol)),
            Some(port) => match (port.number, &port.range) {
                (Some(it), None) => number(key, it).map(|port| AdminPort::Range(protocol, port, port)),
                (None, Some(it)) => range(key, protocol, it.start, it.end),
                (Some(_), Some(_)) | (None, None) => Err((
                    key,
                    "destinationPort needs exactly one of number and range".to_owned(),
                )),
            },
        };
        match self.protocols.as_deref().unwrap_or_default().get(index) {
            Some(CnpProtocol {
                tcp: Some(ports),
                udp: None,
                sctp: None,
                destination_named_port: None,
            }) => of(Protocol::Tcp, "tcp", ports),
            Some(CnpProtocol {
                tcp: None,
                udp: Some(ports),
                sctp: None,
                destination_named_port: None,
            }) => of(Protocol::Udp, "udp", ports),
            Some(CnpProtocol {
                tcp: None,
                udp: None,
                sctp: Some(ports),
                destination_named_port: None,
            }) => of(Protocol::Sctp, "sctp", ports),
            Some(CnpProtocol {
                tcp: None,
                udp: None,
                sctp: None,
                destination_named_port: Some(name),
            }) => Ok(AdminPort::Named(name.clone())),
            Some(_) | None => Err((
                "",
                "expected exactly one of tcp, udp, sctp and destinationNamedPort".to_owned(),
            )),
        }
    }
}
