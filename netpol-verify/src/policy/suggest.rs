//! The smallest rules that would open a denied attempt, tried out before they are offered.

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    path::Path,
};

use serde_json::{Value, json};

use crate::cluster::{AdminKind, Kind, Loaded, NAMESPACE_NAME_LABEL, ObjectName, Pod, Snapshot, Tier};

use super::{
    PolicySet, compile,
    decision::{AdminRuleRef, Direction, End, Expectation, Traffic},
    explain::ClosedSide,
    opened::{Opened, opened},
    selector::is_label,
};

/// Labels that change with every rollout or differ per replica: a policy that selects by them is soon wrong.
const FLEETING_LABELS: [&str; 7] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
];

/// A change that would open a denied attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// One line: `egress: let netpol-demo/backend open TCP/80 to netpol-demo/database`.
    pub summary: String,
    /// Complete manifests, one NetworkPolicy a closed side.
    pub manifest: String,
    /// Whether these very manifests, read back and compiled with all the others, let the attempt through.
    pub verified: bool,
    /// How many other pairs of pods it would open on the same port.
    pub also_opens: usize,
    /// How many pods it would isolate that were open before, because they carry the same labels.
    pub also_isolates: usize,
}

/// What opens every closed side; `None` where there is none, or where no rule could open one of them.
pub(super) fn suggest(
    snapshot: &Snapshot,
    set: &PolicySet,
    traffic: &Traffic,
    closed: &[ClosedSide],
) -> Option<Suggestion> {
    let mut manifests = Vec::new();
    let mut taken: HashSet<ObjectName> = snapshot
        .policies
        .iter()
        .map(crate::cluster::SourcedPolicy::name)
        .collect();
    for side in closed {
        let pod = snapshot.pod(&side.pod)?;
        let name = free_name(side, traffic, &mut taken);
        let policy = match &side.denied_by {
            Some(rule) => exception(snapshot, rule, pod, traffic, &name)?,
            None => {
                let other = match side.direction {
                    Direction::Egress => &traffic.to,
                    Direction::Ingress => &traffic.from,
                };
                let peer = peer(snapshot, &side.pod.namespace, other)?;
                policy(&name, pod, side.direction, &peer, traffic)
            }
        };
        manifests.push(serde_saphyr::to_string(&policy).ok()?);
    }
    if manifests.is_empty() {
        return None;
    }
    let manifest = manifests
        .iter()
        .map(|text| text.trim_end())
        .collect::<Vec<_>>()
        .join("\n---\n")
        + "\n";
    let directions: Vec<String> = closed.iter().map(|side| side.direction.to_string()).collect();
    let summary = format!(
        "{}: let {} open {}/{} to {}",
        directions.join(" and "),
        traffic.from,
        traffic.protocol,
        traffic.port,
        traffic.to
    );
    let (verified, opened) = try_out(snapshot, set, traffic, &manifest, manifests.len());
    Some(Suggestion {
        summary,
        manifest,
        verified,
        also_opens: opened.pairs,
        also_isolates: opened.isolated,
    })
}

/// Reads the text back as a user would apply it, compiles everything anew, and asks again.
fn try_out(
    snapshot: &Snapshot,
    before: &PolicySet,
    traffic: &Traffic,
    manifest: &str,
    expected: usize,
) -> (bool, Opened) {
    let (addition, problems) = Loaded::from_text(manifest, Path::new("suggestion")).into_snapshot();
    if !problems.is_empty() || addition.policies.len() + addition.admin.len() != expected {
        return (false, Opened::default());
    }
    let mut after = snapshot.clone();
    after.policies.extend(addition.policies);
    after.admin.extend(addition.admin);
    let (after, _) = compile(&after);
    let verified = after.decide(traffic).expectation == Expectation::Allow;
    (verified, opened(snapshot, before, &after, traffic))
}

/// An administrator's policy that lets the attempt through before the rule that denies it is asked; `None` where there is no
/// place before it, or where the kind has no such peer.
fn exception(
    snapshot: &Snapshot,
    rule: &AdminRuleRef,
    pod: &Pod,
    traffic: &Traffic,
    name: &str,
) -> Option<Value> {
    let denying = snapshot
        .admin
        .iter()
        .find(|it| it.object.kind == rule.policy.kind && it.object.name == rule.policy.name)?;
    // There is one BaselineAdminNetworkPolicy only: an exception to it is an AdminNetworkPolicy, the last of all.
    let (kind, tier, before) = match denying.object.kind {
        AdminKind::BaselineAdminNetworkPolicy => (AdminKind::AdminNetworkPolicy, Tier::Admin, 1001),
        kind => (kind, denying.object.tier, denying.object.priority),
    };
    let taken: HashSet<u16> = snapshot
        .admin
        .iter()
        .filter(|it| it.object.tier == tier)
        .map(|it| it.object.priority)
        .collect();
    let priority = (0..before).rev().find(|priority| !taken.contains(priority))?;
    let selected = |name: &ObjectName, pod: &Pod| {
        json!({ "pods": {
            "namespaceSelector": { "matchLabels": { NAMESPACE_NAME_LABEL: name.namespace } },
            "podSelector": by_labels(pod),
        } })
    };
    let (list, peers, other) = match rule.direction {
        Direction::Ingress => ("ingress", "from", &traffic.from),
        Direction::Egress => ("egress", "to", &traffic.to),
    };
    let peer = match other {
        End::Pod { name, .. } => selected(name, snapshot.pod(name)?),
        End::Node { .. } | End::Address(_) if rule.direction == Direction::Ingress => return None,
        End::Node { address, .. } | End::Address(address) => json!({ "networks": [single(*address)] }),
    };
    let ports = match kind {
        AdminKind::ClusterNetworkPolicy => json!({ "protocols": [{
            traffic.protocol.as_str().to_lowercase(): { "destinationPort": { "number": traffic.port } },
        }] }),
        AdminKind::AdminNetworkPolicy | AdminKind::BaselineAdminNetworkPolicy => {
            json!({ "ports": [{ "portNumber": { "protocol": traffic.protocol.as_str(), "port": traffic.port } }] })
        }
    };
    let mut written = json!({ "action": kind.accept(), peers: [peer] });
    let mut spec = json!({ "priority": priority, "subject": selected(&pod.name, pod) });
    if let (Value::Object(rule), Value::Object(ports), Value::Object(spec)) = (&mut written, ports, &mut spec)
    {
        rule.extend(ports);
        if kind == AdminKind::ClusterNetworkPolicy {
            spec.insert(
                "tier".to_owned(),
                json!(if tier == Tier::Admin { "Admin" } else { "Baseline" }),
            );
        }
        spec.insert(list.to_owned(), json!([written]));
    }
    Some(json!({
        "apiVersion": kind.api_version(),
        "kind": kind.as_str(),
        "metadata": { "name": name },
        "spec": spec,
    }))
}

/// The block that holds one address.
fn single(address: IpAddr) -> String {
    let address = address.to_canonical();
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

fn policy(name: &str, pod: &Pod, direction: Direction, peer: &Value, traffic: &Traffic) -> Value {
    let (list, peers, kind) = match direction {
        Direction::Ingress => ("ingress", "from", "Ingress"),
        Direction::Egress => ("egress", "to", "Egress"),
    };
    json!({
        "apiVersion": Kind::NetworkPolicy.api_version(),
        "kind": "NetworkPolicy",
        "metadata": { "name": name, "namespace": pod.name.namespace },
        "spec": {
            "podSelector": by_labels(pod),
            "policyTypes": [kind],
            list: [{ peers: [peer], "ports": [{ "protocol": traffic.protocol.as_str(), "port": traffic.port }] }],
        },
    })
}

/// The other end as a peer, from the view of a policy in `namespace`.
fn peer(snapshot: &Snapshot, namespace: &str, end: &End) -> Option<Value> {
    match end {
        End::Pod { name, .. } => {
            let pod = by_labels(snapshot.pod(name)?);
            Some(if name.namespace == namespace {
                json!({ "podSelector": pod })
            } else {
                json!({
                    "namespaceSelector": { "matchLabels": { NAMESPACE_NAME_LABEL: name.namespace } },
                    "podSelector": pod,
                })
            })
        }
        End::Node { address, .. } | End::Address(address) => {
            Some(json!({ "ipBlock": { "cidr": single(*address) } }))
        }
    }
}

/// A selector by all lasting labels of the pod; by all labels when it has no lasting one.
fn by_labels(pod: &Pod) -> Value {
    let lawful = || pod.labels.iter().filter(|(key, value)| is_label(key, value));
    let lasting: BTreeMap<_, _> = lawful()
        .filter(|(key, _)| !FLEETING_LABELS.contains(&key.as_str()))
        .collect();
    let all: BTreeMap<_, _> = lawful().collect();
    match (lasting.is_empty(), all.is_empty()) {
        (false, _) => json!({ "matchLabels": lasting }),
        (true, false) => json!({ "matchLabels": all }),
        (true, true) => json!({}),
    }
}

fn free_name(side: &ClosedSide, traffic: &Traffic, taken: &mut HashSet<ObjectName>) -> String {
    let end = |end: &End| match end {
        End::Pod { name, .. } if name.namespace == side.pod.namespace => name.name.clone(),
        End::Pod { name, .. } => format!("{}-{}", name.namespace, name.name),
        End::Node { name, .. } => name.clone(),
        End::Address(address) => address.to_string(),
    };
    let raw = format!(
        "allow-{}-{}-to-{}-{}-{}",
        side.direction,
        end(&traffic.from),
        end(&traffic.to),
        traffic.protocol,
        traffic.port
    );
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    // 253 are allowed; room is left for a number.
    let base: String = raw.chars().map(plain).take(240).collect();
    let base = base.trim_end_matches('-');
    let numbered = (2_u32..).map(|number| format!("{base}-{number}"));
    std::iter::once(base.to_owned())
        .chain(numbered)
        .find(|name| taken.insert(ObjectName::new(side.pod.namespace.clone(), name.clone())))
        .unwrap_or_else(|| base.to_owned())
}
