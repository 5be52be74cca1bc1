//! The rule that came nearest to letting an attempt through, and the clauses of it that were not met.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use super::{
    compile_clauses::{Clauses, Peer, clauses},
    decision::{Direction, End, PolicyRef, RuleRef, Side, Traffic},
    port::PortMatch,
    selector::Selector,
};
use crate::cluster::{NAMESPACE_NAME_LABEL, Pod, Snapshot};

/// A rule that does not let an attempt through, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The rule.
    pub rule: RuleRef,
    /// What of it is not met; never empty.
    pub unmet: Vec<Unmet>,
}

/// A clause that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Where it stands in the rule: `from[0].podSelector`, `ports`.
    pub clause: String,
    /// What it wants.
    pub wanted: String,
    /// What it meets instead.
    pub found: String,
}

/// The other end, as clauses look at it.
struct Other<'a> {
    pod: Option<(&'a Pod, BTreeMap<String, String>)>,
    address: Option<IpAddr>,
    shown: String,
}

/// The nearest rule of the NetworkPolicies that isolate a closed side: the one with the fewest clauses not met, the first of
/// equals. `None` where no rule was written for it at all.
pub(crate) fn nearest(
    snapshot: &Snapshot,
    side: &Side,
    direction: Direction,
    traffic: &Traffic,
) -> Option<NearMiss> {
    let (own, other) = match direction {
        Direction::Egress => (&traffic.from, &traffic.to),
        Direction::Ingress => (&traffic.to, &traffic.from),
    };
    let other = Other {
        pod: pod_of(snapshot, other).map(|pod| (pod, namespace_labels(snapshot, &pod.name.namespace))),
        address: other.address(),
        shown: other.to_string(),
    };
    let destination = match direction {
        Direction::Egress => other.pod.as_ref().map(|(pod, _)| *pod),
        Direction::Ingress => pod_of(snapshot, own),
    };
    let mut best: Option<NearMiss> = None;
    let by_name: HashMap<_, _> = snapshot
        .policies
        .iter()
        .map(|policy| (policy.name(), policy))
        .collect();
    for name in &side.isolating {
        let Some(policy) = by_name.get(&name.0) else {
            continue;
        };
        for (index, rule) in clauses(policy, direction).iter().enumerate() {
            let mut unmet = unmet_peers(rule, direction, name, &other);
            unmet.extend(unmet_ports(rule, traffic, destination));
            if !unmet.is_empty() && best.as_ref().is_none_or(|best| unmet.len() < best.unmet.len()) {
                best = Some(NearMiss {
                    rule: RuleRef {
                        policy: name.clone(),
                        direction,
                        index,
                    },
                    unmet,
                });
            }
        }
    }
    best
}

fn pod_of<'a>(snapshot: &'a Snapshot, end: &End) -> Option<&'a Pod> {
    match end {
        End::Pod { name, .. } => snapshot.pod(name),
        End::Node { .. } | End::Address(_) => None,
    }
}

fn namespace_labels(snapshot: &Snapshot, name: &str) -> BTreeMap<String, String> {
    snapshot.namespace(name).map_or_else(
        || BTreeMap::from([(NAMESPACE_NAME_LABEL.to_owned(), name.to_owned())]),
        |namespace| namespace.labels.clone(),
    )
}

/// What the peer with the fewest unmet clauses lacks; nothing where a peer matches, or none is asked for.
fn unmet_peers(rule: &Clauses, direction: Direction, policy: &PolicyRef, other: &Other<'_>) -> Vec<Unmet> {
    let key = match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    if rule.written[0] == 0 {
        return Vec::new();
    }
    let of_peer = |(index, peer): (usize, &Peer)| -> Vec<Unmet> {
        let path = format!("{key}[{index}]");
        match (peer, &other.pod) {
            (Peer::Block(block), _) => {
                let is_met = other.address.is_some_and(|address| block.contains(address));
                let found = match other.address {
                    Some(address) if block.net.contains(&address) => format!("{address}, which is excepted"),
                    Some(address) => address.to_string(),
                    None => format!("{}, which has no address yet", other.shown),
                };
                unmet_unless(is_met, format!("{path}.ipBlock"), block.net.to_string(), found)
            }
            (Peer::Pods { namespaces, pods }, Some((pod, of_namespace))) => {
                let mut unmet = match namespaces {
                    Some(wanted) => unmet_labels(wanted, of_namespace, &format!("{path}.namespaceSelector")),
                    None => unmet_unless(
                        pod.name.namespace == policy.0.namespace,
                        path.clone(),
                        format!("the policy's own namespace {}", policy.0.namespace),
                        format!("namespace {}", pod.name.namespace),
                    ),
                };
                if let Some(wanted) = pods {
                    unmet.extend(unmet_labels(wanted, &pod.labels, &format!("{path}.podSelector")));
                }
                unmet
            }
            (Peer::Pods { .. }, None) => unmet_unless(false, path, "a pod".to_owned(), other.shown.clone()),
        }
    };
    let found = rule
        .peers
        .iter()
        .map(|clause| of_peer((clause.index, &clause.peer)))
        .min_by_key(Vec::len);
    found.unwrap_or_else(|| {
        unmet_unless(
            false,
            key.to_owned(),
            "peers that cannot be read, so that they match nothing".to_owned(),
            other.shown.clone(),
        )
    })
}

fn unmet_labels(wanted: &Selector, labels: &BTreeMap<String, String>, clause: &str) -> Vec<Unmet> {
    wanted
        .requirements()
        .iter()
        .filter(|requirement| !requirement.matches(labels))
        .map(|requirement| Unmet {
            clause: clause.to_owned(),
            wanted: requirement.to_string(),
            found: labels.get(requirement.key()).map_or_else(
                || format!("no label {}", requirement.key()),
                |value| format!("{}={value}", requirement.key()),
            ),
        })
        .collect()
}

fn unmet_ports(rule: &Clauses, traffic: &Traffic, destination: Option<&Pod>) -> Option<Unmet> {
    let declares = |name: &str, protocol| {
        destination.is_some_and(|pod| {
            pod.ports
                .iter()
                .find(|declared| declared.name.as_deref() == Some(name) && declared.protocol == protocol)
                .is_some_and(|declared| declared.port == traffic.port)
        })
    };
    let is_met = rule.written[1] == 0
        || rule.ports.iter().any(|entry| {
            entry.by_number(traffic.protocol, traffic.port)
                || entry
                    .name(traffic.protocol)
                    .is_some_and(|name| declares(rule.name(name), traffic.protocol))
        });
    if is_met {
        return None;
    }
    let wanted: Vec<String> = rule.ports.iter().map(|entry| shown(*entry, rule)).collect();
    Some(Unmet {
        clause: "ports".to_owned(),
        wanted: if wanted.is_empty() {
            "ports that cannot be read, so that they match nothing".to_owned()
        } else {
            wanted.join(", ")
        },
        found: format!("{}/{}", traffic.protocol, traffic.port),
    })
}

fn shown(entry: PortMatch, rule: &Clauses) -> String {
    match entry {
        PortMatch::All(protocol) => format!("{protocol}"),
        PortMatch::Range(protocol, first, last) if first == last => format!("{protocol}/{first}"),
        PortMatch::Range(protocol, first, last) => format!("{protocol}/{first}-{last}"),
        PortMatch::Named(protocol, name) => format!("{protocol}/{}", rule.name(name)),
        PortMatch::NamedAny(name) => rule.name(name).to_owned(),
    }
}

fn unmet_unless(is_met: bool, clause: String, wanted: String, found: String) -> Vec<Unmet> {
    if is_met {
        Vec::new()
    } else {
        vec![Unmet {
            clause,
            wanted,
            found,
        }]
    }
}
