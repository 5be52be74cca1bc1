//! Pods and namespaces that no policy is about, of any kind.

use super::{
    code::{NAMESPACE_WITHOUT_POLICY, POD_WITHOUT_POLICY},
    finding::{Finding, counted, listed},
    groups::Group,
    world::World,
};

pub(super) fn find(world: &World<'_>, out: &mut Vec<Finding>) {
    // Without any policy in the input there is nothing to lint, and no word on every namespace either.
    if world.policies.is_empty() && world.snapshot.admin.is_empty() {
        return;
    }
    for (namespace, groups) in world.groups.namespaces() {
        let seen: Vec<&Group<'_>> = world.groups.of(groups).filter(|group| !group.is_host()).collect();
        let free = || {
            seen.iter()
                .filter(|group| world.set.policies_on(&group.pod.name) == 0)
        };
        let pods = || free().flat_map(|group| group.names());
        let has_policies = world
            .policies
            .iter()
            .any(|policy| policy.name.namespace == namespace);
        if free().next().is_none() {
            continue;
        }
        let object = format!("Namespace {namespace}");
        if has_policies {
            let message = format!(
                "{} of it ({}) are selected by no policy: everybody may reach them, and they may reach everybody.",
                counted(pods().count(), "pod"),
                listed(pods())
            );
            let fix = "If they are not meant to be open, add a default deny for the namespace: podSelector: {}, policyTypes: \
                       [Ingress, Egress].";
            out.push(Finding::new(POD_WITHOUT_POLICY, message, fix).about(object, None));
        } else if free().count() == seen.len() {
            let message = format!("has {} and no policy at all.", counted(pods().count(), "pod"));
            let fix = "Nothing to mend if it is meant to be open.";
            out.push(Finding::new(NAMESPACE_WITHOUT_POLICY, message, fix).about(object, None));
        }
    }
}
