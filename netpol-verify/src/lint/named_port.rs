//! Port names that nobody declares, that are declared with another protocol, or that stand where names never match (R17).

use std::collections::BTreeSet;

use super::{
    code::{NOBODY_DECLARES_THE_PORT, PORT_NAME_WITH_BLOCK, PORT_OF_ANOTHER_PROTOCOL},
    finding::{Finding, listed},
    groups::GroupId,
    spelled::nearest_word,
    world::World,
    written::{PeerKind, Port, PortKind, Rule, Written},
};
use crate::policy::Direction;

pub(super) fn find(world: &World<'_>, out: &mut Vec<Finding>) {
    for policy in &world.policies {
        for (direction, rule) in policy.live_rules() {
            for port in &rule.ports {
                if let PortKind::Name(name) = &port.what {
                    let found = one(world, policy, direction, rule, port, name);
                    out.extend(found.map(|finding| {
                        finding
                            .about(policy.object(), Some(policy.place))
                            .at(&port.path.key("port"))
                    }));
                }
            }
        }
    }
}

fn one(
    world: &World<'_>,
    policy: &Written<'_>,
    direction: Direction,
    rule: &Rule,
    port: &Port,
    name: &str,
) -> Option<Finding> {
    let is_block = |peer: &super::written::Peer| matches!(peer.what, PeerKind::Block { .. });
    if direction == Direction::Egress && !rule.peers.is_empty() && rule.peers.iter().all(is_block) {
        let message =
            format!("names the port {name}, and an ipBlock has no names: the entry matches nothing.");
        return Some(Finding::new(PORT_NAME_WITH_BLOCK, message, "Write the number."));
    }
    let destinations: BTreeSet<GroupId> = match direction {
        Direction::Ingress => policy.subjects.iter().copied().collect(),
        Direction::Egress if rule.peers.is_empty() => {
            (0..).zip(world.groups.iter()).map(|(number, _)| number).collect()
        }
        Direction::Egress => {
            let pods = rule.peers.iter().filter_map(|peer| match &peer.what {
                PeerKind::Pods { groups, .. } => Some(groups),
                PeerKind::Block { .. } | PeerKind::Invalid => None,
            });
            pods.flatten().copied().collect()
        }
    };
    // Who selects nothing is told so already.
    if destinations.is_empty() {
        return None;
    }
    let destinations: Vec<GroupId> = destinations.into_iter().collect();
    // Every pod: what a group has in common is only the names that policies use.
    let pods = || world.groups.of(&destinations).flat_map(|group| &group.pods);
    let declared = || pods().flat_map(|pod| &pod.ports);
    let of_name = || declared().filter(|one| one.name.as_deref() == Some(name));
    if of_name().any(|one| one.protocol == port.protocol) {
        return None;
    }
    let them = listed(pods().map(|pod| &pod.name));
    let others: BTreeSet<String> = of_name().map(|one| one.protocol.to_string()).collect();
    if !others.is_empty() {
        let others = listed(&others);
        let message = format!(
            "means the {} port {name}, which {them} declare as {others} only: the entry matches nothing.",
            port.protocol
        );
        let fix = format!("Write protocol: {others}. It is TCP where a port entry says nothing.");
        return Some(Finding::new(PORT_OF_ANOTHER_PROTOCOL, message, fix));
    }
    let message =
        format!("names the port {name}, which no container of {them} declares: the entry matches nothing.");
    let names = declared().filter_map(|one| one.name.as_deref());
    let fix = match nearest_word(name, names) {
        Some(near) => format!("Did you mean {near}? They declare it."),
        None => "Write the number, or give the container's port this name.".to_owned(),
    };
    Some(Finding::new(NOBODY_DECLARES_THE_PORT, message, fix))
}
