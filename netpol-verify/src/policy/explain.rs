//! Why an attempt is denied, and the smallest rule that would open it, tried out before it is offered.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

use serde_json::{Value, json};

use crate::cluster::{Loaded, NAMESPACE_NAME_LABEL, ObjectName, Pod, Snapshot};

use super::{
    PolicySet, compile,
    decision::{Decision, Direction, End, Expectation, PolicyRef, Traffic},
    opened::{Opened, opened},
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

/// A decision, and what it would take to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer of [`PolicySet::decide`].
    pub decision: Decision,
    /// The closed sides; none unless the attempt is denied.
    pub closed: Vec<ClosedSide>,
    /// The smallest rule that would open it; only for a denied attempt.
    pub suggestion: Option<Suggestion>,
}

/// A side that lets the attempt not through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedSide {
    /// Which side.
    pub direction: Direction,
    /// The pod that is isolated.
    pub pod: ObjectName,
    /// The policies that isolate it.
    pub policies: Vec<PolicyRef>,
}

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

/// Explains the decision on an attempt; `set` must be compiled from `snapshot`.
#[must_use]
pub fn explain(snapshot: &Snapshot, set: &PolicySet, traffic: &Traffic) -> Explanation {
    let decision = set.decide(traffic);
    let mut closed = Vec::new();
    if decision.expectation == Expectation::Deny {
        let sides = [
            (Direction::Egress, &decision.egress, &traffic.from),
            (Direction::Ingress, &decision.ingress, &traffic.to),
        ];
        for (direction, side, end) in sides {
            if let (false, End::Pod { name, .. }) = (side.is_open(), end) {
                closed.push(ClosedSide {
                    direction,
                    pod: name.clone(),
                    policies: side.isolating.clone(),
                });
            }
        }
    }
    let suggestion = suggest(snapshot, set, traffic, &closed);
    Explanation {
        decision,
        closed,
        suggestion,
    }
}

fn suggest(
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
        let other = match side.direction {
            Direction::Egress => &traffic.to,
            Direction::Ingress => &traffic.from,
        };
        let peer = peer(snapshot, &side.pod.namespace, other)?;
        let name = free_name(side, traffic, &mut taken);
        manifests.push(serde_saphyr::to_string(&policy(&name, pod, side.direction, &peer, traffic)).ok()?);
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
    if !problems.is_empty() || addition.policies.len() != expected {
        return (false, Opened::default());
    }
    let mut after = snapshot.clone();
    after.policies.extend(addition.policies);
    let (after, _) = compile(&after);
    let verified = after.decide(traffic).expectation == Expectation::Allow;
    (verified, opened(snapshot, before, &after, traffic))
}

fn policy(name: &str, pod: &Pod, direction: Direction, peer: &Value, traffic: &Traffic) -> Value {
    let (list, peers, kind) = match direction {
        Direction::Ingress => ("ingress", "from", "Ingress"),
        Direction::Egress => ("egress", "to", "Egress"),
    };
    json!({
        "apiVersion": "networking.k8s.io/v1",
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
            let address = address.to_canonical();
            let length = if address.is_ipv4() { 32 } else { 128 };
            Some(json!({ "ipBlock": { "cidr": format!("{address}/{length}") } }))
        }
    }
}

/// A selector by all lasting labels of the pod; by all labels when it has no lasting one.
fn by_labels(pod: &Pod) -> Value {
    let lasting: BTreeMap<_, _> = pod
        .labels
        .iter()
        .filter(|(key, _)| !FLEETING_LABELS.contains(&key.as_str()))
        .collect();
    match (lasting.is_empty(), pod.labels.is_empty()) {
        (false, _) => json!({ "matchLabels": lasting }),
        (true, false) => json!({ "matchLabels": pod.labels }),
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
