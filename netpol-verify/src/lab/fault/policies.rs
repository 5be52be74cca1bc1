//! Policies written anew: what a misreading, or a prediction, makes of them.

use std::sync::Arc;

use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use crate::cluster::Snapshot;

/// A rule of either direction, to be written anew.
pub(super) struct RuleText<'a> {
    /// The namespace of its policy.
    pub(super) namespace: &'a str,
    pub(super) peers: &'a mut Option<Vec<NetworkPolicyPeer>>,
    pub(super) ports: &'a mut Option<Vec<NetworkPolicyPort>>,
}

impl RuleText<'_> {
    /// Writes its port entries anew; whether any is left, where there was one.
    pub(super) fn each_port(
        &mut self,
        change: impl FnMut(NetworkPolicyPort) -> Vec<NetworkPolicyPort>,
    ) -> bool {
        each_entry(self.ports, change)
    }

    /// Writes its entries of `from` or `to` anew; whether any is left, where there was one.
    pub(super) fn each_peer(
        &mut self,
        change: impl FnMut(NetworkPolicyPeer) -> Vec<NetworkPolicyPeer>,
    ) -> bool {
        each_entry(self.peers, change)
    }
}

/// Writes entries anew; whether any is left, where there was one.
fn each_entry<T>(entries: &mut Option<Vec<T>>, change: impl FnMut(T) -> Vec<T>) -> bool {
    let Some(before) = entries.take().filter(|before| !before.is_empty()) else {
        return true;
    };
    let after: Vec<T> = before.into_iter().flat_map(change).collect();
    let any = !after.is_empty();
    *entries = Some(after);
    any
}

/// The same cluster with every policy's spec written anew.
pub(super) fn each_spec(
    snapshot: &Snapshot,
    mut change: impl FnMut(&str, &mut NetworkPolicySpec),
) -> Snapshot {
    let mut snapshot = snapshot.clone();
    for policy in &mut snapshot.policies {
        let object: &mut NetworkPolicy = Arc::make_mut(&mut policy.object);
        let namespace = object
            .metadata
            .namespace
            .clone()
            .unwrap_or_else(|| "default".to_owned());
        if let Some(spec) = &mut object.spec {
            change(&namespace, spec);
        }
    }
    snapshot
}

/// The same cluster with every rule written anew; one for which `change` says no is struck out. A direction that was
/// isolated stays so.
pub(super) fn each_rule(snapshot: &Snapshot, mut change: impl FnMut(RuleText<'_>) -> bool) -> Snapshot {
    each_spec(snapshot, |namespace, spec| {
        name_types(spec);
        if let Some(rules) = &mut spec.ingress {
            rules.retain_mut(|rule| {
                change(RuleText {
                    namespace,
                    peers: &mut rule.from,
                    ports: &mut rule.ports,
                })
            });
        }
        if let Some(rules) = &mut spec.egress {
            rules.retain_mut(|rule| {
                change(RuleText {
                    namespace,
                    peers: &mut rule.to,
                    ports: &mut rule.ports,
                })
            });
        }
    })
}

/// Writes out the directions that the API assumes (R3), so that a rule which is struck out changes none of them.
pub(super) fn name_types(spec: &mut NetworkPolicySpec) {
    if spec.policy_types.as_ref().is_none_or(Vec::is_empty) {
        let mut types = vec!["Ingress".to_owned()];
        if spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()) {
            types.push("Egress".to_owned());
        }
        spec.policy_types = Some(types);
    }
}

/// The same cluster with every selector of every policy written anew.
pub(super) fn each_selector(snapshot: &Snapshot, mut change: impl FnMut(&mut LabelSelector)) -> Snapshot {
    each_spec(snapshot, |_, spec| {
        spec.pod_selector.iter_mut().for_each(&mut change);
        let of_peers =
            every_peer(spec).flat_map(|peer| [peer.pod_selector.as_mut(), peer.namespace_selector.as_mut()]);
        of_peers.flatten().for_each(&mut change);
    })
}

/// The peers of every rule of both directions.
pub(super) fn every_peer(spec: &mut NetworkPolicySpec) -> impl Iterator<Item = &mut NetworkPolicyPeer> {
    let from = spec
        .ingress
        .iter_mut()
        .flatten()
        .flat_map(|rule| rule.from.iter_mut().flatten());
    let to = spec
        .egress
        .iter_mut()
        .flatten()
        .flat_map(|rule| rule.to.iter_mut().flatten());
    from.chain(to)
}
