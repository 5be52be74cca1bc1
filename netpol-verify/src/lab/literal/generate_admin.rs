//! Random policies of administrators: of all three kinds, in both tiers, with every peer, port and action.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use proptest::{collection::vec, prelude::*, sample::select, strategy::Union};

use super::{
    Way,
    generate_words::{BLOCKS, NAMES, NUMBERS, namespace_selector, protocol, selector},
};
use crate::cluster::{
    Action, AdminKind, AdminPeer, AdminPods, AdminPolicy, AdminPort, AdminRule, SourcedAdminPolicy, Tier,
};

/// Up to four policies; names are their places, and a cluster has one BaselineAdminNetworkPolicy.
pub(super) fn admin_policies() -> impl Strategy<Value = Vec<SourcedAdminPolicy>> {
    let policy = prop_oneof![
        3 => policy(AdminKind::ClusterNetworkPolicy, Tier::Admin),
        2 => policy(AdminKind::AdminNetworkPolicy, Tier::Admin),
        2 => policy(AdminKind::ClusterNetworkPolicy, Tier::Baseline),
        1 => policy(AdminKind::BaselineAdminNetworkPolicy, Tier::Baseline),
    ];
    vec(policy, 0..5).prop_map(|policies| {
        let mut has_baseline = false;
        policies
            .into_iter()
            .filter(|policy| {
                policy.kind != AdminKind::BaselineAdminNetworkPolicy
                    || !std::mem::replace(&mut has_baseline, true)
            })
            .enumerate()
            .map(|(index, mut policy)| {
                if policy.kind != AdminKind::BaselineAdminNetworkPolicy {
                    policy.name = format!("admin-{index}");
                }
                SourcedAdminPolicy {
                    object: policy.into(),
                    place: super::generate::nowhere(),
                }
            })
            .collect()
    })
}

/// Priorities are few, so that some are equal; 1000 is where a BaselineAdminNetworkPolicy stands.
fn policy(kind: AdminKind, tier: Tier) -> impl Strategy<Value = AdminPolicy> {
    let priorities: &'static [u16] = match (kind, tier) {
        (AdminKind::BaselineAdminNetworkPolicy, _) => &[1000],
        (_, Tier::Admin) => &[0, 1],
        (_, Tier::Baseline) => &[0, 1000],
    };
    (
        select(priorities),
        pods(),
        vec(rule(kind, Way::Ingress), 0..4),
        vec(rule(kind, Way::Egress), 0..4),
    )
        .prop_map(move |(priority, subject, ingress, egress)| AdminPolicy {
            kind,
            name: "default".to_owned(),
            tier,
            priority,
            subject,
            ingress,
            egress,
        })
}

fn pods() -> impl Strategy<Value = AdminPods> {
    let every = || Just(LabelSelector::default());
    (
        prop_oneof![1 => every(), 1 => namespace_selector()],
        prop_oneof![2 => every(), 1 => selector()],
    )
        .prop_map(|(namespaces, pods)| AdminPods { namespaces, pods })
}

fn rule(kind: AdminKind, way: Way) -> impl Strategy<Value = AdminRule> {
    let is_baseline = kind == AdminKind::BaselineAdminNetworkPolicy;
    let actions: &'static [Action] = if is_baseline {
        &[Action::Accept, Action::Deny]
    } else {
        &[Action::Accept, Action::Deny, Action::Pass]
    };
    let ports = prop_oneof![2 => Just(vec![]), 3 => vec(port(kind), 1..3)];
    (select(actions), vec(peer(way, !is_baseline), 1..3), ports).prop_map(|(action, peers, mut ports)| {
        // Names of domains go with this action only, and port names with pods only: the API refuses all else.
        let is_named = peers.iter().any(|peer| matches!(peer, AdminPeer::DomainNames(_)));
        let are_pods = |peer: &AdminPeer| matches!(peer, AdminPeer::Pods(_) | AdminPeer::Unknown);
        if !peers.iter().all(are_pods) {
            ports.retain(|port| !matches!(port, AdminPort::Named(_)));
        }
        AdminRule {
            name: None,
            action: if is_named { Action::Accept } else { action },
            peers,
            ports,
        }
    })
}

fn peer(way: Way, names: bool) -> impl Strategy<Value = AdminPeer> {
    let block = select(&BLOCKS[..]).prop_map(|(cidr, _)| cidr.to_owned());
    let domain = AdminPeer::DomainNames(vec!["*.example.org".to_owned()]);
    let mut kinds = vec![(12, pods().prop_map(AdminPeer::Pods).boxed())];
    if way == Way::Egress {
        kinds.push((6, vec(block, 1..3).prop_map(AdminPeer::Networks).boxed()));
        kinds.push((3, selector().prop_map(AdminPeer::Nodes).boxed()));
        if names {
            kinds.push((4, Just(domain).boxed()));
        }
    }
    kinds.push((1, Just(AdminPeer::Unknown).boxed()));
    Union::new_weighted(kinds)
}

fn port(kind: AdminKind) -> impl Strategy<Value = AdminPort> {
    let number = (protocol(), select(&NUMBERS[..]))
        .prop_map(|(protocol, port)| AdminPort::Range(protocol, port, port));
    let range = (protocol(), select(&[(79, 81), (80, 90), (1, 65535)][..]))
        .prop_map(|(protocol, (first, last))| AdminPort::Range(protocol, first, last));
    let name = select(&NAMES[..]).prop_map(|name| AdminPort::Named(name.to_owned()));
    let mut kinds = vec![(4, number.boxed()), (2, range.boxed()), (3, name.boxed())];
    // v1alpha1 has no word for all ports of a protocol.
    if kind == AdminKind::ClusterNetworkPolicy {
        kinds.push((2, protocol().prop_map(AdminPort::All).boxed()));
    }
    kinds.push((1, Just(AdminPort::Unknown).boxed()));
    Union::new_weighted(kinds)
}
