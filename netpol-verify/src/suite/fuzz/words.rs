//! The few words that clusters are drawn from: so few that selectors match, names resolve and blocks overlap.

use serde_json::{Map, Value, json};

use super::dice::Dice;

/// Where pods lie. The place of a pod follows from its number: its namespace, its node and its addresses.
const NAMESPACES: [&str; 3] = ["x", "y", "z"];
/// How many places there are.
pub(super) const PLACES: usize = 8;
const KEYS: (&str, &[&str]) = ("app", &["team"]);
const VALUES: (&str, &[&str]) = ("a", &["b", "c"]);
pub(super) const PORT_NAMES: [&str; 3] = ["web", "metrics", "dns"];

/// A block and what may be taken out of it.
type BlockWords = (&'static str, &'static [&'static str]);
const BLOCKS: (BlockWords, &[BlockWords]) = (
    (
        "0.0.0.0/0",
        &["10.0.0.0/8", "10.244.1.0/24", "10.244.2.16/29", "10.244.1.24/32"],
    ),
    &[
        (
            "10.244.0.0/16",
            &["10.244.1.0/24", "10.244.2.16/28", "10.244.2.24/32"],
        ),
        (
            "10.244.1.0/24",
            &["10.244.1.16/28", "10.244.1.32/27", "10.244.1.40/32"],
        ),
        ("10.244.2.0/24", &["10.244.2.24/29", "10.244.2.16/32"]),
        ("10.244.1.16/32", &[]),
        ("10.244.2.16/28", &["10.244.2.24/29"]),
        ("10.0.0.0/8", &["10.244.0.0/16", "10.99.0.0/24"]),
        ("203.0.113.0/24", &["203.0.113.0/28"]),
        ("::/0", &["fd00::/16", "fd00:244:1::/64", "fd00:244:2::10/128"]),
        ("fd00:244::/32", &["fd00:244:2::/64", "fd00:244:1::18/128"]),
        ("fd00:244:1::/64", &["fd00:244:1::10/124", "fd00:244:1::20/123"]),
        ("fd00:244:2::10/128", &[]),
    ],
);

/// A place that a pod has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) namespace: &'static str,
    /// `node1` or `node2`.
    pub(super) node: usize,
    /// The last part of its addresses.
    pub(super) host: usize,
}

impl Place {
    /// The place of a number.
    pub(super) fn of(number: usize) -> Self {
        Self {
            namespace: NAMESPACES.get(number % NAMESPACES.len()).copied().unwrap_or("x"),
            node: 1 + number % 2,
            host: 16 + 8 * (number / 2),
        }
    }

    /// Its addresses as `status.podIPs` has them.
    pub(super) fn addresses(self) -> Value {
        let Self { node, host, .. } = self;
        json!([{"ip": format!("10.244.{node}.{host}")}, {"ip": format!("fd00:244:{node}::{host:x}")}])
    }
}

/// All namespaces.
pub(super) const fn namespaces() -> [&'static str; 3] {
    NAMESPACES
}

/// One namespace.
pub(super) fn namespace(dice: &mut Dice) -> &'static str {
    Place::of(dice.below(NAMESPACES.len())).namespace
}

/// A protocol, TCP most often.
pub(super) fn protocol(dice: &mut Dice) -> &'static str {
    dice.pick("TCP", &["TCP", "TCP", "UDP", "UDP", "SCTP"])
}

/// A port number.
pub(super) fn number(dice: &mut Dice) -> u16 {
    dice.pick(80, &[80, 81, 53, 8080])
}

/// Labels, of no, one or both keys.
pub(super) fn labels(dice: &mut Dice) -> Value {
    let (first, others) = KEYS;
    let mut labels = Map::new();
    for key in [first].iter().chain(others) {
        if dice.percent(60) {
            labels.insert((*key).to_owned(), json!(value(dice)));
        }
    }
    Value::Object(labels)
}

fn value(dice: &mut Dice) -> &'static str {
    dice.pick(VALUES.0, VALUES.1)
}

/// A selector of pods: of all, by labels, by expressions, or by both.
pub(super) fn selector(dice: &mut Dice) -> Value {
    let mut selector = Map::new();
    if dice.percent(30) {
        return Value::Object(selector);
    }
    if dice.percent(50) {
        let key = dice.pick(KEYS.0, KEYS.1);
        selector.insert("matchLabels".to_owned(), json!({key: value(dice)}));
    }
    if dice.percent(50) {
        let expressions: Vec<Value> = (0..dice.between(1, 2)).map(|_| expression(dice)).collect();
        selector.insert("matchExpressions".to_owned(), json!(expressions));
    }
    Value::Object(selector)
}

fn expression(dice: &mut Dice) -> Value {
    let key = dice.pick(KEYS.0, KEYS.1);
    match dice.pick("In", &["NotIn", "Exists", "DoesNotExist"]) {
        operator @ ("In" | "NotIn") => {
            let mut values: Vec<&str> = (0..dice.between(1, 2)).map(|_| value(dice)).collect();
            values.dedup();
            json!({"key": key, "operator": operator, "values": values})
        }
        operator => json!({"key": key, "operator": operator}),
    }
}

/// A selector of namespaces: as of pods, or by the name.
pub(super) fn namespace_selector(dice: &mut Dice) -> Value {
    if dice.percent(30) {
        return json!({"matchLabels": {"kubernetes.io/metadata.name": namespace(dice)}});
    }
    selector(dice)
}

/// A block of addresses, most often with exceptions.
pub(super) fn block(dice: &mut Dice) -> Value {
    let (cidr, holes) = dice.pick(BLOCKS.0, BLOCKS.1);
    let most = dice.pick(1, &[0, 1, 1, 2, 2]);
    let except = dice.some_of(holes.to_vec(), most);
    if except.is_empty() {
        json!({"cidr": cidr})
    } else {
        json!({"cidr": cidr, "except": except})
    }
}
