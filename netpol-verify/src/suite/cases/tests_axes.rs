//! What a case's policies are made of, along the axes by which Cyclonus counts coverage; read from the objects alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Case, Suite};
use crate::cluster::{Change, Kind, Object};

/// The axes of whole cases, with their values in order.
pub(super) const GENERAL: &[(&str, &[&str])] = &[
    (
        "action",
        &[
            "create policy",
            "update policy",
            "delete policy",
            "create namespace",
            "set namespace labels",
            "delete namespace",
            "create pod",
            "set pod labels",
            "delete pod",
        ],
    ),
    ("policy", &["with ingress", "with egress", "with both"]),
    (
        "policies at once",
        &["one policy", "two policies", "three policies or more"],
    ),
    (
        "target pod selector",
        &["target empty", "target matchLabels", "target matchExpressions"],
    ),
    (
        "policyTypes",
        &[
            "types absent",
            "types Ingress",
            "types Egress",
            "types Ingress and Egress",
        ],
    ),
    ("operator on target pods", &TARGET_OPERATORS),
    ("operator on peer pods", &PEER_OPERATORS),
    ("operator on peer namespaces", &NAMESPACE_OPERATORS),
];

const TARGET_OPERATORS: [&str; 4] = [
    "target In",
    "target NotIn",
    "target Exists",
    "target DoesNotExist",
];
const PEER_OPERATORS: [&str; 4] = ["pods In", "pods NotIn", "pods Exists", "pods DoesNotExist"];
const NAMESPACE_OPERATORS: [&str; 4] = [
    "namespaces In",
    "namespaces NotIn",
    "namespaces Exists",
    "namespaces DoesNotExist",
];

/// The axes of a direction's rules.
pub(super) const RULES: &[(&str, &[&str])] = &[
    (
        "rules",
        &[
            "0 rules",
            "1 rule",
            "2+ rules",
            "all peers on all ports and protocols",
        ],
    ),
    (
        "ports",
        &[
            "0 ports", "1 port", "2+ ports", "numbered", "named", "any port", "range",
        ],
    ),
    ("protocol", &["none given", "TCP", "UDP", "SCTP"]),
    (
        "peers",
        &[
            "0 peers",
            "1 peer",
            "2+ peers",
            "ipBlock without except",
            "ipBlock with except",
        ],
    ),
    (
        "peer pod selector",
        &[
            "pods nil",
            "pods empty",
            "pods matchLabels",
            "pods matchExpressions",
        ],
    ),
    (
        "peer namespace selector",
        &[
            "namespaces nil",
            "namespaces empty",
            "namespaces matchLabels",
            "namespaces matchExpressions",
        ],
    ),
];

/// The values that a case has: of the whole case, of its ingress rules, of its egress rules.
#[derive(Default)]
pub(super) struct Values {
    pub(super) general: BTreeSet<&'static str>,
    pub(super) ingress: BTreeSet<&'static str>,
    pub(super) egress: BTreeSet<&'static str>,
}

/// How many cases of a suite have each value: general, ingress, egress.
pub(super) fn counted(suite: &Suite) -> [BTreeMap<&'static str, usize>; 3] {
    let mut counts = [BTreeMap::new(), BTreeMap::new(), BTreeMap::new()];
    for case in &suite.cases {
        let values = values(suite, case);
        let sets = [values.general, values.ingress, values.egress];
        for (count, set) in counts.iter_mut().zip(sets) {
            for value in set {
                *count.entry(value).or_default() += 1;
            }
        }
    }
    counts
}

pub(super) fn values(suite: &Suite, case: &Case) -> Values {
    let mut values = Values::default();
    let mut state = suite.state();
    for step in &case.steps {
        for change in step.play(&mut state) {
            values.general.extend(action(&change, &step.delete));
        }
        for object in &step.apply {
            if let Object::Policy(policy) = object {
                values.policy(&serde_json::to_value(&*policy.object).unwrap());
            }
        }
        values.general.extend(match state.snapshot().policies.len() {
            0 => None,
            1 => Some("one policy"),
            2 => Some("two policies"),
            _ => Some("three policies or more"),
        });
    }
    values
}

/// What a change is called; what goes with its namespace was not asked for by itself.
fn action(change: &Change, deleted: &[crate::cluster::ObjectKey]) -> Option<&'static str> {
    Some(match change {
        Change::Added(key) => match key.kind {
            Kind::NetworkPolicy => "create policy",
            Kind::Namespace => "create namespace",
            Kind::Pod => "create pod",
            _ => return None,
        },
        Change::Changed(key) => match key.kind {
            Kind::NetworkPolicy => "update policy",
            Kind::Namespace => "set namespace labels",
            Kind::Pod => "set pod labels",
            _ => return None,
        },
        Change::Removed(key) if deleted.contains(key) => match key.kind {
            Kind::NetworkPolicy => "delete policy",
            Kind::Namespace => "delete namespace",
            Kind::Pod => "delete pod",
            _ => return None,
        },
        Change::Removed(_) => return None,
    })
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// One of three words for how many.
fn many(count: usize, words: [&'static str; 3]) -> &'static str {
    words[count.min(2)]
}

impl Values {
    fn policy(&mut self, policy: &Value) {
        let spec = &policy["spec"];
        let target = [
            "target empty",
            "target empty",
            "target matchLabels",
            "target matchExpressions",
        ];
        self.general.extend(selector(&spec["podSelector"], target));
        let types: BTreeSet<&str> = list(spec, "policyTypes")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let (named_ingress, named_egress) = (types.contains("Ingress"), types.contains("Egress"));
        self.general.insert(match (named_ingress, named_egress) {
            (false, false) => "types absent",
            (true, false) => "types Ingress",
            (false, true) => "types Egress",
            (true, true) => "types Ingress and Egress",
        });
        // Without types a policy is about ingress, and about egress where it has rules for that (R3).
        let ingress = named_ingress || types.is_empty();
        let egress = named_egress || (types.is_empty() && !list(spec, "egress").is_empty());
        let has = [
            (ingress, "with ingress"),
            (egress, "with egress"),
            (ingress && egress, "with both"),
        ];
        self.general
            .extend(has.into_iter().filter(|(has, _)| *has).map(|(_, word)| word));
        if ingress {
            rules(list(spec, "ingress"), "from", &mut self.ingress);
        }
        if egress {
            rules(list(spec, "egress"), "to", &mut self.egress);
        }
        self.operators(&spec["podSelector"], TARGET_OPERATORS);
        let rules = [(ingress, "ingress", "from"), (egress, "egress", "to")];
        for (_, rules, peers) in rules.into_iter().filter(|(about, ..)| *about) {
            for peer in list(spec, rules).iter().flat_map(|rule| list(rule, peers)) {
                self.operators(&peer["podSelector"], PEER_OPERATORS);
                self.operators(&peer["namespaceSelector"], NAMESPACE_OPERATORS);
            }
        }
    }

    fn operators(&mut self, selector: &Value, words: [&'static str; 4]) {
        for expression in list(selector, "matchExpressions") {
            let operator = expression["operator"].as_str().unwrap_or_default();
            let named = |word: &&str| word.rsplit(' ').next() == Some(operator);
            self.general.extend(words.iter().copied().find(named));
        }
    }
}

fn rules(rules: &[Value], peers: &str, values: &mut BTreeSet<&'static str>) {
    values.insert(many(rules.len(), ["0 rules", "1 rule", "2+ rules"]));
    for rule in rules {
        let (peers, ports) = (list(rule, peers), list(rule, "ports"));
        if peers.is_empty() && ports.is_empty() {
            values.insert("all peers on all ports and protocols");
        }
        values.insert(many(ports.len(), ["0 ports", "1 port", "2+ ports"]));
        values.insert(many(peers.len(), ["0 peers", "1 peer", "2+ peers"]));
        for port in ports {
            values.insert(match port.get("port") {
                None => "any port",
                Some(Value::String(_)) => "named",
                Some(_) => "numbered",
            });
            values.extend(port.get("endPort").map(|_| "range"));
            values.insert(match port.get("protocol").and_then(Value::as_str) {
                Some("TCP") => "TCP",
                Some("UDP") => "UDP",
                Some("SCTP") => "SCTP",
                _ => "none given",
            });
        }
        for peer in peers {
            if let Some(block) = peer.get("ipBlock") {
                let except = !list(block, "except").is_empty();
                values.insert(if except {
                    "ipBlock with except"
                } else {
                    "ipBlock without except"
                });
                continue;
            }
            let pods = [
                "pods nil",
                "pods empty",
                "pods matchLabels",
                "pods matchExpressions",
            ];
            let namespaces = [
                "namespaces nil",
                "namespaces empty",
                "namespaces matchLabels",
                "namespaces matchExpressions",
            ];
            values.extend(selector(&peer["podSelector"], pods));
            values.extend(selector(&peer["namespaceSelector"], namespaces));
        }
    }
}

/// The words for a selector, given those for nil, empty, matchLabels and matchExpressions.
fn selector(selector: &Value, [nil, empty, labels, expressions]: [&'static str; 4]) -> Vec<&'static str> {
    if selector.is_null() {
        return vec![nil];
    }
    let has_labels = selector["matchLabels"]
        .as_object()
        .is_some_and(|map| !map.is_empty());
    let has_expressions = !list(selector, "matchExpressions").is_empty();
    match (has_labels, has_expressions) {
        (false, false) => vec![empty],
        (true, false) => vec![labels],
        (false, true) => vec![expressions],
        (true, true) => vec![labels, expressions],
    }
}
