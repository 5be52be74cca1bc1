//! Entries of `from` and `to`: whom they mean.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;

use super::{block::Block, selector};
use crate::cluster::{AdminPods, Pod, Snapshot};

/// What an entry of `from` or `to` says.
pub(super) enum Means {
    /// Addresses.
    Block(Block),
    /// Pods, by the selectors in the entry.
    Pods,
    /// Nothing that the API allows (R8).
    Unreadable,
}

/// Reads an entry of `from` or `to`.
pub(super) fn read(peer: &NetworkPolicyPeer) -> Means {
    match (
        &peer.ip_block,
        peer.pod_selector.is_some() || peer.namespace_selector.is_some(),
    ) {
        // "If this field is set then neither of the other fields can be."
        (Some(block), false) => Block::read(block).map_or(Means::Unreadable, Means::Block),
        (None, true) => Means::Pods,
        (Some(_), true) | (None, false) => Means::Unreadable,
    }
}

/// Whether an entry with selectors, in a policy of `namespace`, selects the pod.
pub(in crate::lab) fn selects(
    snapshot: &Snapshot,
    namespace: &str,
    peer: &NetworkPolicyPeer,
    pod: &Pod,
) -> bool {
    let in_namespace = match &peer.namespace_selector {
        // "Otherwise it selects the pods matching podSelector in the policy's own namespace."
        None => pod.name.namespace == namespace,
        Some(wanted) => selector::matches(wanted, &namespace_labels(snapshot, &pod.name.namespace)),
    };
    // "Otherwise it selects all pods in the namespaces selected by namespaceSelector."
    let by_label = peer
        .pod_selector
        .as_ref()
        .is_none_or(|wanted| selector::matches(wanted, &pod.labels));
    in_namespace && by_label
}

/// The labels of a namespace; of one that nobody described, only the name that the API server always sets (R9).
fn namespace_labels(snapshot: &Snapshot, name: &str) -> BTreeMap<String, String> {
    snapshot.namespace(name).map_or_else(
        || BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), name.to_owned())]),
        |namespace| namespace.labels.clone(),
    )
}

/// Whether the selectors of an administrator's policy select the pod: "via namespace AND pod selectors", where an empty
/// one selects all.
pub(super) fn admin_selects(snapshot: &Snapshot, wanted: &AdminPods, pod: &Pod) -> bool {
    selector::matches(
        &wanted.namespaces,
        &namespace_labels(snapshot, &pod.name.namespace),
    ) && selector::matches(&wanted.pods, &pod.labels)
}

/// Whether the pod is a subject and a peer for the lab's enforcer: not when it is over (R28), and not when it uses its
/// node's network, where its traffic is the node's, as in most plugins (R24).
pub(super) const fn takes_part(pod: &Pod) -> bool {
    !pod.phase.is_terminal() && !pod.host_network
}
