//! Which policies speak about a pod, and what their rules list.

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};

use super::selector;
use crate::cluster::{Pod, Snapshot};

/// The direction a policy speaks about, as its `policyTypes` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// `Ingress`: towards the selected pod.
    Ingress,
    /// `Egress`: from the selected pod.
    Egress,
}

impl Way {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ingress, Self::Egress];
}

/// One rule, of either direction: its `from` or `to`, and its `ports`.
pub(super) struct Rule<'a> {
    pub(super) peers: &'a [NetworkPolicyPeer],
    pub(super) ports: &'a [NetworkPolicyPort],
}

/// The namespace a policy lives in.
pub(super) fn namespace(policy: &NetworkPolicy) -> &str {
    policy.metadata.namespace.as_deref().unwrap_or("default")
}

/// Whether the policy relates to that direction.
fn relates_to(policy: &NetworkPolicy, way: Way) -> bool {
    let Some(spec) = &policy.spec else {
        // A spec that is missing is an empty one: no types, no rules.
        return way == Way::Ingress;
    };
    // "Valid options are Ingress, Egress": what is neither says nothing.
    let types: Vec<&str> = spec
        .policy_types
        .iter()
        .flatten()
        .map(String::as_str)
        .filter(|one| ["Ingress", "Egress"].contains(one))
        .collect();
    if types.is_empty() {
        // "policies that contain an egress section are assumed to affect egress, and all policies … are assumed
        // to affect ingress" (R3).
        return way == Way::Ingress || spec.egress.as_ref().is_some_and(|rules| !rules.is_empty());
    }
    types.contains(&match way {
        Way::Ingress => "Ingress",
        Way::Egress => "Egress",
    })
}

/// Whether the policy's podSelector matches the pod. "If it is not specified, it defaults to an empty selector."
fn selects(policy: &NetworkPolicy, pod: &Pod) -> bool {
    namespace(policy) == pod.name.namespace
        && policy
            .spec
            .as_ref()
            .and_then(|spec| spec.pod_selector.as_ref())
            .is_none_or(|wanted| selector::matches(wanted, &pod.labels))
}

/// The policies that isolate the pod in that direction; the pod is not isolated when there is none (R1).
#[must_use]
pub fn isolating<'a>(snapshot: &'a Snapshot, pod: &Pod, way: Way) -> Vec<&'a NetworkPolicy> {
    snapshot
        .policies
        .iter()
        .map(|sourced| &*sourced.object)
        .filter(|policy| relates_to(policy, way) && selects(policy, pod))
        .collect()
}

/// The rules of the policy in that direction.
pub(super) fn rules(policy: &NetworkPolicy, way: Way) -> Vec<Rule<'_>> {
    let Some(spec) = &policy.spec else {
        return Vec::new();
    };
    match way {
        Way::Ingress => spec
            .ingress
            .iter()
            .flatten()
            .map(|rule| Rule {
                peers: rule.from.as_deref().unwrap_or_default(),
                ports: rule.ports.as_deref().unwrap_or_default(),
            })
            .collect(),
        Way::Egress => spec
            .egress
            .iter()
            .flatten()
            .map(|rule| Rule {
                peers: rule.to.as_deref().unwrap_or_default(),
                ports: rule.ports.as_deref().unwrap_or_default(),
            })
            .collect(),
    }
}

/// Whether the policy has no rule in that direction, so that by itself it denies all there is (R5).
#[must_use]
pub fn without_rules(policy: &NetworkPolicy, way: Way) -> bool {
    rules(policy, way).is_empty()
}
