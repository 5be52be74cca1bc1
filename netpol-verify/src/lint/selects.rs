//! Selectors that select nothing: a slip of the finger, an OR where AND was meant (R7), or pods that are not there.

use super::{
    code::{NOT_AMONG_WHAT_WAS_READ, OR_WHERE_AND_WAS_MEANT, PEER_SELECTS_NOTHING, SUBJECT_SELECTS_NOTHING},
    finding::{Finding, listed},
    spelled::{Labels, Spelled, is_everything},
    world::World,
    written::{Peer, PeerKind, Written},
};
use crate::{
    cluster::{Pod, path::FieldPath},
    policy::Selector,
};

pub(super) fn find(world: &World<'_>, out: &mut Vec<Finding>) {
    for policy in &world.policies {
        subject(world, policy, out);
        for way in policy.ways() {
            for rule in &way.rules {
                for (index, peer) in rule.peers.iter().enumerate() {
                    let neighbours = [
                        index.checked_sub(1).and_then(|at| rule.peers.get(at)),
                        rule.peers.get(index + 1),
                    ];
                    let found =
                        split(world, policy, peer, neighbours).or_else(|| self::peer(world, policy, peer));
                    out.extend(found);
                }
            }
        }
    }
}

fn subject(world: &World<'_>, policy: &Written<'_>, out: &mut Vec<Finding>) {
    let Some(wanted) = policy.subject.as_ref().filter(|it| !is_everything(it)) else {
        return;
    };
    let home = &policy.name.namespace;
    if !policy.subjects.is_empty() || is_met_by_the_past(world, wanted, |pod| pod.name.namespace == *home) {
        return;
    }
    let path = FieldPath::of("spec.podSelector");
    let spelled = Spelled(wanted);
    let finding = match world.labels_in(home) {
        Some(labels) => Finding::new(
            SUBJECT_SELECTS_NOTHING,
            format!("selects the pods with {spelled}, and {home} has none: the policy does nothing."),
            mended(labels.nearest(wanted), "pods"),
        ),
        None => Finding::new(
            NOT_AMONG_WHAT_WAS_READ,
            format!("selects the pods with {spelled}, and {home} has no pod at all."),
            "Nothing to mend if its pods come from elsewhere or later.",
        ),
    };
    out.push(finding.about(policy.object(), Some(policy.place)).at(&path));
}

/// A finished Job's pods are neither subjects nor peers (R28), and the next run's will be.
fn is_met_by_the_past(world: &World<'_>, wanted: &Selector, is_in_scope: impl Fn(&Pod) -> bool) -> bool {
    let over = world.snapshot.pods.iter().filter(|pod| pod.phase.is_terminal());
    let mut in_scope = over.filter(|pod| is_in_scope(pod));
    in_scope.any(|pod| wanted.matches(&pod.labels))
}

fn mended(nearest: Option<String>, what: &str) -> String {
    match nearest {
        Some(label) => format!("Did you mean {label}? There are {what} with it."),
        None => format!("Compare it with the labels of the {what} that are meant, or take it out."),
    }
}

fn peer(world: &World<'_>, policy: &Written<'_>, peer: &Peer) -> Option<Finding> {
    let PeerKind::Pods {
        namespaces,
        pods,
        groups,
    } = &peer.what
    else {
        return None;
    };
    if !groups.is_empty() {
        return None;
    }
    let everything = Selector::default();
    let wanted = pods.as_ref().unwrap_or(&everything);
    let homes: Vec<&str> = match namespaces {
        Some(homes) => {
            let selected = world.groups.selected_namespaces(homes);
            selected.map(|namespace| namespace.name.as_str()).collect()
        }
        None => vec![&policy.name.namespace],
    };
    if is_met_by_the_past(world, wanted, |pod| homes.contains(&pod.name.namespace.as_str())) {
        return None;
    }
    let about = |finding: Finding, key: &str| {
        let path = if key.is_empty() {
            peer.path.clone()
        } else {
            peer.path.key(key)
        };
        Some(finding.about(policy.object(), Some(policy.place)).at(&path))
    };
    if let (Some(homes_wanted), true) = (namespaces, homes.is_empty()) {
        let labels = Labels::of(world.snapshot.namespaces.iter().map(|it| &it.labels));
        let nearest = labels.nearest(homes_wanted);
        let message = format!(
            "means the namespaces with {}, and there is none: the entry matches nobody.",
            Spelled(homes_wanted)
        );
        let code = if world.is_whole || nearest.is_some() {
            PEER_SELECTS_NOTHING
        } else {
            NOT_AMONG_WHAT_WAS_READ
        };
        return about(
            Finding::new(code, message, mended(nearest, "namespaces")),
            "namespaceSelector",
        );
    }
    let living: Vec<&Labels<'_>> = homes.iter().filter_map(|home| world.labels_in(home)).collect();
    let place = listed(&homes);
    if living.is_empty() {
        let message = format!("means pods in {place}, and there is none at all.");
        let fix = "Nothing to mend if its pods come from elsewhere or later.";
        return about(Finding::new(NOT_AMONG_WHAT_WAS_READ, message, fix), "");
    }
    let nearest = living.iter().find_map(|labels| labels.nearest(wanted));
    let message = format!(
        "means the pods with {} in {place}, and there is none: the entry matches nobody.",
        Spelled(wanted)
    );
    about(
        Finding::new(PEER_SELECTS_NOTHING, message, mended(nearest, "pods")),
        "podSelector",
    )
}

/// `- namespaceSelector` and `- podSelector` as neighbours: they are joined by OR, and where the pods are not in the
/// policy's own namespace but in those others, AND was meant.
fn split(
    world: &World<'_>,
    policy: &Written<'_>,
    peer: &Peer,
    neighbours: [Option<&Peer>; 2],
) -> Option<Finding> {
    let PeerKind::Pods {
        namespaces: None,
        pods: Some(pods),
        groups,
    } = &peer.what
    else {
        return None;
    };
    if !groups.is_empty() || is_everything(pods) {
        return None;
    }
    let (homes, meant) = neighbours
        .into_iter()
        .flatten()
        .find_map(|other| match &other.what {
            PeerKind::Pods {
                namespaces: Some(homes),
                pods: None,
                ..
            } => Some((homes, world.groups.selected(homes, pods))).filter(|(_, meant)| !meant.is_empty()),
            _ => None,
        })?;
    let all = if is_everything(homes) {
        "all namespaces".to_owned()
    } else {
        format!("the namespaces with {}", Spelled(homes))
    };
    let message = format!(
        "stands beside a namespaceSelector as an entry of its own, so that either counts: every pod of {all} is meant, and \
         the pods with {} of {}, of which there are none.",
        Spelled(pods),
        policy.name.namespace
    );
    let fix = format!(
        "Write both selectors in one entry: take away the dash before podSelector. Together they mean {}.",
        listed(world.groups.names(&meant))
    );
    let finding = Finding::new(OR_WHERE_AND_WAS_MEANT, message, fix);
    Some(finding.about(policy.object(), Some(policy.place)).at(&peer.path))
}
