//! hostNetwork pods, as subjects and as peers: the API leaves open what policies mean for them (R24).

use super::{
    code::{HOST_NETWORK_SUBJECT, ONLY_HOST_NETWORK_PEER, ONLY_HOST_NETWORK_SUBJECT},
    finding::{Finding, listed},
    groups::{Group, GroupId},
    world::World,
    written::PeerKind,
};
use crate::cluster::path::FieldPath;

pub(super) fn find(world: &World<'_>, out: &mut Vec<Finding>) {
    for policy in &world.policies {
        let hosts = hosts(world, &policy.subjects);
        if !hosts.is_empty() {
            let names = listed(hosts.iter().flat_map(|group| group.names()));
            let finding = if hosts.len() == policy.subjects.len() {
                Finding::new(
                    ONLY_HOST_NETWORK_SUBJECT,
                    format!(
                        "selects only pods in the network of their node ({names}): most CNIs enforce nothing there."
                    ),
                    "Take hostNetwork from the pods, or restrict the node itself (its firewall, or the CNI's host policies).",
                )
            } else {
                Finding::new(
                    HOST_NETWORK_SUBJECT,
                    format!(
                        "selects {names} too, in the network of their node: most CNIs enforce nothing there."
                    ),
                    "Nothing to mend if nothing relies on it.",
                )
            };
            let path = FieldPath::of("spec.podSelector");
            out.push(finding.about(policy.object(), Some(policy.place)).at(&path));
        }
        for (_, rule) in policy.live_rules() {
            for peer in &rule.peers {
                let PeerKind::Pods { groups, .. } = &peer.what else {
                    continue;
                };
                let hosts = self::hosts(world, groups);
                if !hosts.is_empty() && hosts.len() == groups.len() {
                    let names = listed(hosts.iter().flat_map(|group| group.names()));
                    let message = format!(
                        "means only pods in the network of their node ({names}): most CNIs see their traffic as the node's, \
                         and the entry then matches nobody."
                    );
                    let fix = "Allow the nodes' addresses with an ipBlock instead, if the traffic is meant to pass.";
                    let finding = Finding::new(ONLY_HOST_NETWORK_PEER, message, fix);
                    out.push(finding.about(policy.object(), Some(policy.place)).at(&peer.path));
                }
            }
        }
    }
}

fn hosts<'b, 'a>(world: &'b World<'a>, groups: &'b [GroupId]) -> Vec<&'b Group<'a>> {
    world.groups.of(groups).filter(|group| group.is_host()).collect()
}
