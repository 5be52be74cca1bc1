//! Draws one NetworkPolicy, of every field that v1 has.

use serde_json::{Map, Value, json};

use super::{
    dice::Dice,
    words::{PORT_NAMES, block, namespace, namespace_selector, number, protocol, selector},
};

/// A policy; its number is its name.
pub(super) fn policy(dice: &mut Dice, index: usize) -> Value {
    let mut spec = Map::new();
    spec.insert("podSelector".to_owned(), selector(dice));
    let types: Option<&[&str]> = dice.pick(
        None,
        &[
            Some(&["Ingress"]),
            Some(&["Egress"]),
            Some(&["Ingress", "Egress"]),
            Some(&["Ingress", "Egress"]),
        ],
    );
    if let Some(types) = types {
        spec.insert("policyTypes".to_owned(), json!(types));
    }
    for (direction, peers, often) in [("ingress", "from", 75), ("egress", "to", 60)] {
        if let Some(rules) = list(dice, often, |dice| rule(dice, peers)) {
            spec.insert(direction.to_owned(), rules);
        }
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": format!("policy-{index}"), "namespace": namespace(dice)},
        "spec": spec,
    })
}

/// A list as the API has them: missing, empty, or of one or two entries.
fn list(dice: &mut Dice, often: usize, mut entry: impl FnMut(&mut Dice) -> Value) -> Option<Value> {
    if !dice.percent(often) {
        return None;
    }
    let length = dice.pick(1, &[1, 1, 2, 2, 0]);
    Some((0..length).map(|_| entry(dice)).collect())
}

fn rule(dice: &mut Dice, peers: &str) -> Value {
    let mut rule = Map::new();
    if let Some(entries) = list(dice, 80, peer) {
        rule.insert(peers.to_owned(), entries);
    }
    if let Some(entries) = list(dice, 60, port) {
        rule.insert("ports".to_owned(), entries);
    }
    Value::Object(rule)
}

fn peer(dice: &mut Dice) -> Value {
    match dice.below(5) {
        0 => json!({"podSelector": selector(dice)}),
        1 => json!({"namespaceSelector": namespace_selector(dice)}),
        2 => json!({"namespaceSelector": namespace_selector(dice), "podSelector": selector(dice)}),
        _ => json!({"ipBlock": block(dice)}),
    }
}

fn port(dice: &mut Dice) -> Value {
    let mut port = Map::new();
    if dice.percent(65) {
        port.insert("protocol".to_owned(), json!(protocol(dice)));
    }
    match dice.below(10) {
        // Every port of the protocol.
        0 => {}
        1..=4 => {
            port.insert("port".to_owned(), json!(number(dice)));
        }
        5 | 6 => {
            let (first, last) = dice.pick((79, 81), &[(80, 80), (80, 90), (81, 8080), (1, 65535)]);
            port.insert("port".to_owned(), json!(first));
            port.insert("endPort".to_owned(), json!(last));
        }
        _ => {
            let [first, others @ ..] = PORT_NAMES;
            port.insert("port".to_owned(), json!(dice.pick(first, &others)));
        }
    }
    Value::Object(port)
}
