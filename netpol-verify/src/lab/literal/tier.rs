//! What the policies of an administrator's tier say of one side of a connection.

use std::collections::BTreeSet;

use super::{
    Undefined, Way, admin_rule, peer,
    possible::{Match, Possible},
    side::{self, HostPods, Side},
};
use crate::cluster::{Action, AdminPolicy, AdminRule, Tier};

/// The action of the tier; nothing where none of its rules matches.
///
/// "Policies with lower priority values have higher precedence, and are checked before policies with higher priority
/// values in the same tier."
pub(super) fn says(side: &Side<'_>, tier: Tier) -> Possible<Option<Action>> {
    let policies = applying(side, tier);
    let priorities: BTreeSet<u16> = policies.iter().map(|policy| policy.priority).collect();
    let mut others = Vec::new();
    for priority in priorities {
        let said = policies
            .iter()
            .filter(|policy| policy.priority == priority)
            .map(|policy| policy_says(side, policy));
        let mut sure = Vec::new();
        for one in said {
            sure.extend(one.first);
            others.extend(one.others);
        }
        // "If two (or more) policies in the same tier with the same priority could match a connection, then the
        // implementation can apply any of the matching policies to the connection."
        if let Some((first, rest)) = sure.split_first() {
            others.extend(
                rest.iter()
                    .map(|action| (Some(*action), Undefined::EqualPriority)),
            );
            return Possible {
                first: Some(*first),
                others,
            };
        }
    }
    Possible { first: None, others }
}

/// The policies of the tier whose subject the pod is.
fn applying<'a>(side: &Side<'a>, tier: Tier) -> Vec<&'a AdminPolicy> {
    // "Host-networked pods are not included in subject selection."
    if side.pod.host_network {
        return Vec::new();
    }
    // A node must reach its pods, for the probes of its kubelet (R21). What a hostNetwork pod sends is its node's, here
    // without a choice: these kinds know such pods by no selector.
    if side.way == Way::Ingress && side::is_own_node(side.pod, side.other, HostPods::AsNodes) {
        return Vec::new();
    }
    side.snapshot
        .admin
        .iter()
        .map(|sourced| &*sourced.object)
        .filter(|policy| policy.tier == tier && peer::admin_selects(side.snapshot, &policy.subject, side.pod))
        .collect()
}

/// "A rule that appears at the top of the … rules would take the highest precedence." Policies without rules in this
/// direction "do not affect" it.
fn policy_says(side: &Side<'_>, policy: &AdminPolicy) -> Possible<Option<Action>> {
    let mut others = Vec::new();
    for rule in rules(policy, side.way) {
        let (action, matches) = admin_rule::read(side, rule);
        match matches {
            Match::No => {}
            Match::Perhaps(why) => others.push((Some(action), why)),
            Match::Yes => {
                return Possible {
                    first: Some(action),
                    others,
                };
            }
        }
    }
    Possible { first: None, others }
}

/// The rules of the policy in that direction.
pub(super) fn rules(policy: &AdminPolicy, way: Way) -> &[AdminRule] {
    match way {
        Way::Ingress => &policy.ingress,
        Way::Egress => &policy.egress,
    }
}
