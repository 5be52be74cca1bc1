//! The few words that random clusters are made of: so few that selectors match, names resolve and blocks overlap.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::select,
};

use crate::net::Protocol;

pub(super) const NAMESPACES: [&str; 3] = ["x", "y", "z"];
pub(super) const NODES: [&str; 2] = ["n1", "n2"];
const KEYS: [&str; 2] = ["app", "team"];
const VALUES: [&str; 3] = ["a", "b", "c"];
pub(super) const NAMES: [&str; 2] = ["web", "metrics"];
pub(super) const NUMBERS: [u16; 4] = [53, 80, 81, 8080];
/// Blocks, each with holes that are strict subsets of it, as validation demands (R11).
pub(super) const BLOCKS: [(&str, &[&str]); 9] = [
    ("0.0.0.0/0", &["10.0.0.0/8", "203.0.113.7/32", "10.0.1.0/24"]),
    ("10.0.0.0/16", &["10.0.1.0/24", "10.0.0.10/32", "10.0.0.8/30"]),
    ("10.0.0.10/32", &[]),
    ("10.0.0.5/24", &["10.0.0.8/29"]),
    ("203.0.113.0/24", &["203.0.113.0/28", "203.0.113.7/32"]),
    ("::/0", &["fd00::/16", "fd00:0:0:1::/64"]),
    ("fd00::/48", &["fd00:0:0:1::/64", "fd00::10/128"]),
    ("192.168.0.1/32", &[]),
    ("192.168.0.0/30", &["192.168.0.2/32"]),
];

pub(super) fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![4 => Just(Protocol::Tcp), 2 => Just(Protocol::Udp), 1 => Just(Protocol::Sctp)]
}

pub(super) fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(
        select(&KEYS[..]).prop_map(str::to_owned),
        select(&VALUES[..]).prop_map(str::to_owned),
        0..3,
    )
}

pub(super) fn selector() -> impl Strategy<Value = LabelSelector> {
    let values = || vec(select(&VALUES[..]).prop_map(str::to_owned), 1..3);
    let requirement = (
        select(&KEYS[..]).prop_map(str::to_owned),
        prop_oneof![
            values().prop_map(|values| ("In", Some(values))),
            values().prop_map(|values| ("NotIn", Some(values))),
            Just(("Exists", None)),
            Just(("DoesNotExist", None)),
        ],
    )
        .prop_map(|(key, (operator, values))| LabelSelectorRequirement {
            key,
            operator: operator.to_owned(),
            values,
        });
    prop_oneof![
        2 => Just(LabelSelector::default()),
        5 => (option::weighted(0.6, labels()), option::weighted(0.4, vec(requirement, 0..3)))
            .prop_map(|(match_labels, match_expressions)| LabelSelector { match_labels, match_expressions }),
    ]
}

pub(super) fn namespace_selector() -> impl Strategy<Value = LabelSelector> {
    let by_name = select(&NAMESPACES[..]).prop_map(|name| LabelSelector {
        match_labels: Some(BTreeMap::from([(
            "kubernetes.io/metadata.name".to_owned(),
            name.to_owned(),
        )])),
        match_expressions: None,
    });
    prop_oneof![3 => selector(), 1 => by_name]
}
