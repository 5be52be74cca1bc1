//! What a change of policies opens and closes beside what it was made for.

use crate::{
    cluster::{Pod, Snapshot},
    net::Family,
};

use super::{
    PolicySet,
    decision::{Direction, End, Expectation, Traffic},
    matrix::Matrix,
};

/// The side effects of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Ordered pairs of pods, other than the attempt's own, that were denied and are allowed, on its port.
    pub(crate) pairs: usize,
    /// Pods that nothing isolated in a direction and that something isolates now.
    pub(crate) isolated: usize,
}

/// Compares two compilations of the same pods on one protocol and port.
pub(crate) fn opened(snapshot: &Snapshot, before: &PolicySet, after: &PolicySet, like: &Traffic) -> Opened {
    let live: Vec<&Pod> = snapshot
        .pods
        .iter()
        .filter(|pod| !pod.phase.is_terminal() && !pod.host_network)
        .collect();
    let newly = |pod: &&&Pod| {
        [Direction::Ingress, Direction::Egress]
            .into_iter()
            .any(|direction| {
                after.is_isolated(&pod.name, direction) && !before.is_isolated(&pod.name, direction)
            })
    };
    let (was, is) = (
        before.matrix(like.protocol, like.port),
        after.matrix(like.protocol, like.port),
    );
    // A pair can open only where an added policy selects one of its ends: all others answer as before.
    let touched: Vec<bool> = live
        .iter()
        .map(|pod| before.policies_on(&pod.name) != after.policies_on(&pod.name))
        .collect();
    let mut pairs = 0;
    for (from, from_touched) in live.iter().zip(&touched) {
        for (to, to_touched) in live.iter().zip(&touched) {
            let own = |end: &End, pod: &Pod| matches!(end, End::Pod { name, .. } if *name == pod.name);
            if !from_touched && !to_touched || own(&like.from, from) && own(&like.to, to) {
                continue;
            }
            let allows = |set: &PolicySet, matrix: &Matrix<'_>, family| {
                let ends = set.pod_id(&from.name).zip(set.pod_id(&to.name));
                ends.and_then(|(from, to)| matrix.expect(from, to, family))
            };
            let opens = [Family::Ipv4, Family::Ipv6].into_iter().any(|family| {
                allows(before, &was, family) == Some(Expectation::Deny)
                    && allows(after, &is, family) == Some(Expectation::Allow)
            });
            pairs += usize::from(opens);
        }
    }
    Opened {
        pairs,
        isolated: live.iter().filter(newly).count(),
    }
}
